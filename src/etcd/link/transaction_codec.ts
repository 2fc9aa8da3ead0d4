import type { Compare, KeyOperation, OperationResult, Transaction } from "../wire/transaction.ts";
import type { TransactionResult } from "../wire/transaction.ts";
import { COMPARE_TARGET, TXN_REQUEST, TXN_RESPONSE } from "./etcd_messages.ts";
import { decodeMessage, encodeMessage, type Values } from "./protobuf.ts";

/** A transaction as etcd reads it. */
export function encodeTransaction({ compare, success, failure }: Transaction): Uint8Array {
  return encodeMessage(TXN_REQUEST, {
    compare: compare.map(comparison),
    success: success.map(operation),
    failure: failure.map(operation),
  });
}

function comparison(compare: Compare): Values {
  const { mod, create, value } = COMPARE_TARGET;
  switch (compare.kind) {
    case "changed-at":
      return { target: mod, key: compare.key, modRevision: compare.revision };
    case "value":
      return { target: value, key: compare.key, value: compare.value };
    case "none-below":
      // Of a range that is empty etcd compares with 0; any key in it was created at a later revision.
      return { target: create, key: compare.prefix, rangeEnd: behind(compare.prefix), createRevision: 0 };
  }
}

function operation(operation: KeyOperation): Values {
  switch (operation.op) {
    case "put": {
      const { key, value, lease } = operation;
      return { put: { key, value, lease } };
    }
    case "delete":
      return { deleteRange: { key: operation.key } };
    case "get":
      return { range: { key: operation.key } };
    case "list": {
      const { prefix, after, upTo, limit } = operation;
      // The first key behind another one in etcd's order, that of bytes.
      const key = after === undefined ? prefix : `${after}\0`;
      return { range: { key, rangeEnd: upTo === undefined ? behind(prefix) : `${upTo}\0`, limit } };
    }
    case "count":
      return { range: { key: operation.prefix, rangeEnd: behind(operation.prefix), countOnly: true } };
  }
}

/**
 * The first key behind all that begin with a prefix.
 *
 * @throws RangeError for a prefix that does not end in an ASCII character
 */
export function behind(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1);
  if (!(last < 0x7f)) throw new RangeError(`List keys: '${prefix}' does not end in an ASCII character`);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}

/**
 * etcd's answer.
 *
 * @throws RangeError when it is malformed
 */
export function decodeTransactionResult(bytes: Uint8Array): TransactionResult {
  const { header, succeeded, responses } = decodeMessage(TXN_RESPONSE, bytes);
  const { clusterId, revision } = message(header);
  if (typeof clusterId !== "string" || typeof revision !== "number" || revision === 0) {
    throw new RangeError("Decode an answer of etcd: its header is not whole");
  }
  return {
    succeeded: succeeded === true,
    results: list(responses).map((response) => operationResult(message(response)["range"])),
    cluster: clusterNumber(clusterId),
    revision,
  };
}

/** The number of an etcd, in decimal, as its own commands show it. @param id as it is in a header */
export function clusterNumber(id: string): string {
  return String(BigInt.asUintN(64, BigInt(id)));
}

function operationResult(range: Values[string]): OperationResult {
  if (range === undefined) return { found: [], more: false };
  const { kvs, more, count } = message(range);
  const found = list(kvs).map(message).map(({ key, value, modRevision }) => {
    if (typeof key !== "string" || typeof value !== "string" || typeof modRevision !== "number") {
      throw new RangeError("Decode an answer of etcd: a key is not whole");
    }
    return { key, value, changedAt: modRevision };
  });
  const isCounted = found.length === 0 && typeof count === "number" && count > 0;
  return { found, more: more === true, ...isCounted ? { count } : {} };
}

/** A part of an answer. @throws RangeError when it is not there */
export function message(value: Values[string]): Values {
  if (typeof value !== "object" || isList(value)) {
    throw new RangeError("Decode an answer of etcd: a part of it is missing");
  }
  return value;
}

/** A list of an answer. @throws RangeError when it is none */
export function list(value: Values[string]): readonly Values[string][] {
  if (!isList(value)) throw new RangeError("Decode an answer of etcd: a list is missing");
  return value;
}

function isList(value: Values[string]): value is readonly Values[string][] {
  return Array.isArray(value);
}
