import { type Fields, isFields, parseLine, type Question, type ToLink } from "./link_messages.ts";
import type { Compare, KeyOperation } from "./transaction.ts";

// Whether there is another kind of something is looked at in each `default`: one that was forgotten does not
// compile.

/**
 * Reads what the daemon has sent. Nothing is taken on trust: what is not whole must not be put to etcd.
 *
 * @returns undefined for what is no message
 */
export function decodeToLink(line: string): ToLink | undefined {
  const message = parseLine(line);
  return isToLink(message) ? message : undefined;
}

function isToLink(value: unknown): value is ToLink {
  if (!isFields(value)) return false;
  const kind = value["kind"] as ToLink["kind"];
  switch (kind) {
    case "open":
      return isNumber(value["protocol"]) && isEndpoints(value["endpoints"]);
    case "ask":
      return isNumber(value["id"]) && isNumber(value["limitMs"]) && isQuestion(value["question"]);
    default:
      kind satisfies never;
      return false;
  }
}

function isEndpoints(value: unknown): boolean {
  return isFields(value) && Array.isArray(value["urls"]) && value["urls"].every(isText) &&
    ["caFile", "certFile", "keyFile"].every((name) => isAbsentOrText(value, name));
}

function isQuestion(value: unknown): boolean {
  if (!isFields(value)) return false;
  const kind = value["kind"] as Question["kind"];
  switch (kind) {
    case "transaction":
      return isTransaction(value["transaction"]);
    case "grant-lease":
      return isNumber(value["seconds"]);
    case "keep-lease":
      return isText(value["lease"]);
    case "await-change":
      return isText(value["prefix"]) && isNumber(value["from"]);
    case "await-delete":
      return isRange(value["range"]) && isNumber(value["from"]);
    case "versions":
      return true;
    default:
      kind satisfies never;
      return false;
  }
}

function isRange(value: unknown): boolean {
  return isFields(value) && isText(value["first"]) && isText(value["behind"]);
}

function isTransaction(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { compare, success, failure } = value;
  return Array.isArray(compare) && compare.every(isCompare) && Array.isArray(success) &&
    success.every(isOperation) && Array.isArray(failure) && failure.every(isOperation);
}

function isCompare(value: unknown): boolean {
  if (!isFields(value)) return false;
  const kind = value["kind"] as Compare["kind"];
  switch (kind) {
    case "changed-at":
      return isText(value["key"]) && isNumber(value["revision"]);
    case "value":
      return isText(value["key"]) && isText(value["value"]);
    case "none-below":
      return isText(value["prefix"]);
    default:
      kind satisfies never;
      return false;
  }
}

function isOperation(value: unknown): boolean {
  if (!isFields(value)) return false;
  const op = value["op"] as KeyOperation["op"];
  switch (op) {
    case "put":
      return isText(value["key"]) && isText(value["value"]) && isAbsentOrText(value, "lease");
    case "delete":
    case "get":
      return isText(value["key"]);
    case "list":
      return isText(value["prefix"]) && isAbsentOrText(value, "after") &&
        isAbsentOrText(value, "upTo") && isNumber(value["limit"]);
    case "count":
      return isText(value["prefix"]);
    default:
      op satisfies never;
      return false;
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

function isAbsentOrText(value: Fields, name: string): boolean {
  return value[name] === undefined || isText(value[name]);
}
