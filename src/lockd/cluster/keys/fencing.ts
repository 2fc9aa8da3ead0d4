import type { Compare, KeyValue, Transaction } from "../../../etcd/wire/transaction.ts";
import { encodeRecord } from "./records.ts";
import type { SessionRecord } from "./session_record.ts";
import { type ClusterLock, deletes, type Epoch, epochReads, stillIn } from "./transactions.ts";

/**
 * So many locks are freed at once: each takes two operations and a comparison, and etcd takes 128 of either
 * in a transaction.
 */
export const FREED_AT_ONCE = 50;

/**
 * Says something of a host, if its session is still as it was read: a host that lives has written it anew by
 * then. What was said in between counts, too.
 */
export function say({ key, changedAt: revision }: KeyValue, record: SessionRecord): Transaction {
  return {
    compare: [{ kind: "changed-at", key, revision }],
    success: [{ op: "put", key, value: encodeRecord(record) }],
    failure: [{ op: "get", key }],
  };
}

/** The same by a host itself, of an earlier start of its own: its session has to stand. */
export function sayOfOwn(epoch: Epoch, entry: KeyValue, record: SessionRecord): Transaction {
  const { compare, success, failure } = say(entry, record);
  return { compare: [...stillIn(epoch), ...compare], success, failure: [...epochReads(epoch), ...failure] };
}

/**
 * Takes away the session of an earlier start of a host's own that has nothing in etcd, if it is as it was
 * read: whatever is still on its way in it compares a session that is no more.
 *
 * @param besides what else there is of it
 */
export function dropOfOwn(
  epoch: Epoch,
  { key, changedAt: revision }: KeyValue,
  ownList: string,
  besides: string,
): Transaction {
  return {
    compare: [
      ...stillIn(epoch),
      { kind: "changed-at", key, revision },
      { kind: "none-below", prefix: ownList },
    ],
    success: [{ op: "delete", key }, { op: "delete", key: besides }],
    failure: epochReads(epoch),
  };
}

/** A session of which it was said that its host cannot write any more. */
export interface FencedSession {
  readonly key: string;
  /** Revision at which that was said. It is never changed again. */
  readonly revision: number;
}

/** That the word still stands. */
function stillFenced({ key, revision }: FencedSession): Compare {
  return { kind: "changed-at", key, revision };
}

/** Frees locks of a fenced session, if all of them are as they were read. */
export function sweep(fenced: FencedSession, locks: readonly ClusterLock[]): Transaction {
  return {
    compare: [
      stillFenced(fenced),
      ...locks.map(({ key, value }) => ({ kind: "value", key, value } as const)),
    ],
    success: locks.flatMap(deletes),
    failure: [{ op: "get", key: fenced.key }],
  };
}

/**
 * Frees one lock by somebody's word, if it was not written since it was read. Its record is not compared: one
 * that somebody else has written may be as large as etcd takes, and a transaction with it larger.
 *
 * @param own its entry in the list of its session
 * @param want key of those who ask its host for it
 */
export function releaseByHand(
  { key, changedAt: revision }: KeyValue,
  own: string,
  want: string,
): Transaction {
  return {
    compare: [{ kind: "changed-at", key, revision }],
    success: [...deletes({ key, own }), { op: "delete", key: want }],
    failure: [{ op: "get", key }],
  };
}

/** Takes marks of paused guests away, and what else a fenced session has left. */
export function forgetKeys(fenced: FencedSession, keys: readonly string[]): Transaction {
  return {
    compare: [stillFenced(fenced)],
    success: keys.map((key) => ({ op: "delete", key } as const)),
    failure: [{ op: "get", key: fenced.key }],
  };
}

/** Takes an entry out of the list of a fenced session whose lock is somebody else's by now, or gone. */
export function sweepEntry(fenced: FencedSession, { own, value }: ClusterLock): Transaction {
  return {
    compare: [stillFenced(fenced), { kind: "value", key: own, value }],
    success: [{ op: "delete", key: own }],
    failure: [{ op: "get", key: fenced.key }],
  };
}

/** Frees a lock of a fenced session for a host that wants it, and whose own session has to stand. */
export function freeFor(epoch: Epoch, fenced: FencedSession, lock: ClusterLock): Transaction {
  return {
    compare: [...stillIn(epoch), stillFenced(fenced), { kind: "value", key: lock.key, value: lock.value }],
    success: deletes(lock),
    failure: epochReads(epoch),
  };
}
