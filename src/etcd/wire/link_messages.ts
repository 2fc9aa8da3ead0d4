import type { Transaction, TransactionResult } from "./transaction.ts";

/**
 * Version of these messages. Daemon and link are of one package, but an upgrade may have the old one of one
 * and the new one of the other for a moment.
 */
export const LINK_PROTOCOL = 5;

/** Longest line, in bytes. A page of 2,000 locks has far less. */
export const LONGEST_LINE = 16 * 1024 * 1024;

/** How etcd is reached. */
export interface Endpoints {
  /** URLs, `https://NAME:PORT` or, without TLS, `http://NAME:PORT`. */
  readonly urls: readonly string[];
  /** PEM files; all three are there where a URL begins with https. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** What the daemon sends: one JSON text on each line. */
export type ToLink =
  /** Comes first. */
  | { readonly kind: "open"; readonly protocol: number; readonly endpoints: Endpoints }
  | { readonly kind: "ask"; readonly id: number; readonly limitMs: number; readonly question: Question };

/** What etcd is asked. */
export type Question =
  | { readonly kind: "transaction"; readonly transaction: Transaction }
  /** A lease, for a key that shows that a host is heard of. It guards nothing. */
  | { readonly kind: "grant-lease"; readonly seconds: number }
  | { readonly kind: "keep-lease"; readonly lease: string }
  /**
   * Waits until a key that begins with `prefix` is changed, at revision `from` or later, or until the limit.
   * The answer is a hint, no more: what is there has to be read.
   */
  | { readonly kind: "await-change"; readonly prefix: string; readonly from: number }
  /** Waits until one of these keys is deleted, at revision `from` or later, or for the limit: a hint too. */
  | { readonly kind: "await-delete"; readonly range: KeyRange; readonly from: number }
  /** Which version each member is: all of them are asked, and nothing that is kept. */
  | { readonly kind: "versions" };

/** Keys from one on, in etcd's order, that of bytes. */
export interface KeyRange {
  readonly first: string;
  /** The first key that is none of them. */
  readonly behind: string;
}

/** What the link sends: one JSON text on each line. */
export type FromLink =
  | { readonly kind: "opened"; readonly protocol: number }
  /** It cannot work, and ends. */
  | { readonly kind: "unusable"; readonly reason: string }
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answer };

/** What came of a question. */
export type Answer =
  /** `from`: URL of the member that has answered; an older link does not tell. */
  | { readonly kind: "transaction"; readonly result: TransactionResult; readonly from?: string }
  /** The lease that was granted or kept; 0 seconds: there is no such lease any more. */
  | { readonly kind: "lease"; readonly lease: string; readonly seconds: number }
  /** Something may have changed, or the time is over. */
  | { readonly kind: "changed" }
  /**
   * Keys that were deleted until a revision. Each may be there again. `all`: there were no others; else etcd
   * does not know any more which.
   */
  | {
    readonly kind: "deleted";
    readonly keys: readonly string[];
    readonly all: boolean;
    readonly until: number;
  }
  | { readonly kind: "versions"; readonly members: readonly MemberVersion[] }
  /** etcd has not done it, and will not. */
  | { readonly kind: "refused"; readonly reason: string }
  /** etcd is full, for what writes. It may have done it all the same; if it has not, it will not. */
  | { readonly kind: "full"; readonly reason: string }
  /**
   * It may have been done, or may still be. `unreached`: there is no connection with the member, as where
   * nobody listens or TLS has refused it.
   */
  | { readonly kind: "unknown"; readonly reason: string; readonly unreached?: true };

/**
 * Which version a member of etcd is, or why it has not said so. `cluster`: the number of the etcd that it is
 * a member of, in decimal; absent where that is not known, or not told by an older link.
 */
export type MemberVersion =
  | { readonly url: string; readonly version: string; readonly cluster?: string }
  | { readonly url: string; readonly reason: string; readonly cluster?: string };

/** A message as it is sent. */
export function encodeLine(message: ToLink | FromLink): string {
  return `${JSON.stringify(message)}\n`;
}

/**
 * Reads what the link has sent. Nothing is taken on trust: a message that is not whole must not become an
 * answer.
 *
 * @returns undefined for what is no message
 */
export function decodeFromLink(line: string): FromLink | undefined {
  const message = parseLine(line);
  return isFromLink(message) ? message : undefined;
}

/** What a line is, of which nothing is known yet; undefined for what is no JSON. */
export function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The fields of an object that nobody has looked at. */
export type Fields = Readonly<Record<string, unknown>>;

/** Whether a value has fields. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function isFromLink(value: unknown): value is FromLink {
  if (!isFields(value)) return false;
  switch (value["kind"]) {
    case "opened":
      return typeof value["protocol"] === "number";
    case "unusable":
      return typeof value["reason"] === "string";
    case "answer":
      return typeof value["id"] === "number" && isAnswer(value["answer"]);
    default:
      return false;
  }
}

function isAnswer(value: unknown): boolean {
  if (!isFields(value)) return false;
  switch (value["kind"]) {
    case "transaction":
      return isResult(value["result"]) && isAbsentOrText(value["from"]);
    case "lease":
      return typeof value["lease"] === "string" && typeof value["seconds"] === "number";
    case "changed":
      return true;
    case "deleted":
      return typeof value["until"] === "number" && typeof value["all"] === "boolean" &&
        isTexts(value["keys"]);
    case "versions":
      return Array.isArray(value["members"]) && value["members"].every(isMemberVersion);
    case "refused":
    case "full":
      return typeof value["reason"] === "string";
    case "unknown": {
      const { reason, unreached } = value;
      return typeof reason === "string" && (unreached === undefined || unreached === true);
    }
    default:
      return false;
  }
}

function isAbsentOrText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function isMemberVersion(value: unknown): boolean {
  return isFields(value) && typeof value["url"] === "string" && isAbsentOrText(value["cluster"]) &&
    (typeof value["version"] === "string" || typeof value["reason"] === "string");
}

function isResult(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { succeeded, results, cluster, revision } = value;
  return typeof succeeded === "boolean" && typeof cluster === "string" && typeof revision === "number" &&
    Array.isArray(results) && results.every(isOperationResult);
}

function isOperationResult(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { found, more, count } = value;
  return (count === undefined || typeof count === "number") && typeof more === "boolean" &&
    Array.isArray(found) && found.every(isKeyValue);
}

function isKeyValue(entry: unknown): boolean {
  return isFields(entry) && typeof entry["key"] === "string" && typeof entry["value"] === "string" &&
    typeof entry["changedAt"] === "number";
}
