import { status } from "@grpc/grpc-js";
import type { Answer } from "../wire/link_messages.ts";
import { MOST_OPERATIONS } from "../wire/transaction.ts";

/**
 * Texts with which etcd says, under a code of other meanings too, that it has not done what was asked: both
 * are said before a request is put to the other members.
 */
const NOT_DONE = ["etcdserver: too many requests"];

/** What etcd says, as surely before anything is done, where a transaction is larger than it takes. */
const TOO_LARGE = "etcdserver: request is too large";
/** What a person does then: all that virtlockd writes is far smaller. */
const LARGE_RECORD =
  "one of the records that it is about is far larger than any daemon writes: docs/cluster-etcd.md says how to " +
  "find it";

/**
 * What etcd says when its database is full. Before a request is put to the other members that means that it
 * was not done. But a request that comes to that limit while it is carried out is done to its end, and gets
 * the same text. Nothing of it comes later.
 */
const FULL = ["etcdserver: mvcc: database space exceeded", "etcdserver: no space"];

/**
 * Codes that say that the call was not done, whatever their text: etcd looks at all of that before it changes
 * anything. UNIMPLEMENTED is none of them: grpc has it also for an answer that was lost.
 */
const REFUSALS: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
]);

/** What a person does when it is. */
const MAKE_ROOM = "docs/cluster-etcd.md says how to make room";

/**
 * What etcd says of a transaction with more operations or comparisons than it is set to take, and what a
 * person does then: its default is what is needed.
 */
const TOO_MANY = "etcdserver: too many operations in txn request";
const LIMIT =
  `etcd is set to take fewer than ${MOST_OPERATIONS} operations in one transaction: take --max-txn-ops ` +
  "(ETCD_MAX_TXN_OPS) out of the settings of each member, and start them anew one after the other";

/** What a person looks at who has no right. */
const NO_RIGHT =
  "the common name of the certificate is no user of etcd, or that user's roles do not allow it for a cluster of this name";

/** How grpc-js wraps what a connection has ended with: with the time in it no two reasons would be alike. */
const WRAPPED =
  /^No connection established\. Last error: (.*?)(?: \(\d{4}-\d\d-\d\dT[0-9:.]+Z\))?\. Resolution note: ?(.*)$/s;

/**
 * What a failed call says, in words that an operator understands. Whatever does not say that it was not done
 * may have been.
 *
 * @param limitMs how long an answer was waited for
 * @param doubts what on this side may be the reason that no connection has come about
 */
export function failureOf(
  { code, details }: { readonly code: number; readonly details: string },
  limitMs: number,
  doubts: readonly string[] = [],
): Extract<Answer, { kind: "refused" | "full" | "unknown" }> {
  if (FULL.some((text) => details.startsWith(text))) {
    return { kind: "full", reason: `etcd is full: ${details} (${MAKE_ROOM})` };
  }
  if (code === status.PERMISSION_DENIED) return { kind: "refused", reason: `${details} (${NO_RIGHT})` };
  if (details.startsWith(TOO_MANY)) return { kind: "refused", reason: `${details} (${LIMIT})` };
  if (details.startsWith(TOO_LARGE)) return { kind: "refused", reason: `${details} (${LARGE_RECORD})` };
  if (REFUSALS.has(code) || NOT_DONE.some((text) => details.startsWith(text))) {
    return { kind: "refused", reason: details };
  }
  if (code === status.DEADLINE_EXCEEDED) {
    return { kind: "unknown", reason: `etcd has not answered within ${limitMs / 1000} s` };
  }
  if (code === status.UNAVAILABLE && !details.startsWith("etcdserver: ")) {
    return {
      kind: "unknown",
      reason: ["etcd cannot be reached: " + plainDetails(details), ...doubts].join("; "),
      unreached: true,
    };
  }
  return { kind: "unknown", reason: details };
}

/** What a connection has ended with, without what the library says around it. */
function plainDetails(details: string): string {
  const [, last = details, note = ""] = WRAPPED.exec(details) ?? [];
  const plain = last.replace(/^(?:[A-Za-z]*Error(?: \[\w+\])?: )+/, "");
  return note === "" ? plain : `${plain} (${note})`;
}
