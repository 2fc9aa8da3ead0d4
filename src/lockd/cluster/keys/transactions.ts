import type { ClusterKeys } from "./keys.ts";
import type { ClusterName } from "./names.ts";
import {
  type Compare,
  type KeyOperation,
  type KeyValue,
  MOST_OPERATIONS,
  type Transaction,
} from "../../../etcd/wire/transaction.ts";

/** A lock as a session has it in etcd. */
export interface ClusterLock {
  /** Where others look. */
  readonly key: string;
  /** The same in the list of what the session has. */
  readonly own: string;
  /** The holder's record, in both. */
  readonly value: string;
}

/** The lock, or mark of a paused guest, that an entry of the list of what a session has stands for. */
export function listedLock(
  keys: Pick<ClusterKeys, "ofOwn">,
  session: string,
  { key: own, value }: KeyValue,
): ClusterLock {
  return { key: keys.ofOwn(session, own), own, value };
}

/**
 * The state of the cluster that a change relies on: the revisions at which the host's session and what all
 * agree upon were last changed. Whoever changes either makes every change that is still on its way void.
 */
export interface Epoch {
  readonly sessionKey: string;
  readonly session: number;
  readonly metaKey: string;
  readonly meta: number;
}

/** That nothing has changed since. */
export function stillIn({ sessionKey, session, metaKey, meta }: Epoch): Compare[] {
  return [
    { kind: "changed-at", key: sessionKey, revision: session },
    { kind: "changed-at", key: metaKey, revision: meta },
  ];
}

/** What tells, when a change was not made, whether the epoch is why. In this order before anything else. */
export function epochReads({ sessionKey, metaKey }: Epoch): KeyOperation[] {
  return [{ op: "get", key: sessionKey }, { op: "get", key: metaKey }];
}

/** How many reads of a failed transaction are those of the epoch. */
export const EPOCH_READS = 2;

/** What stands in the way of a lock. */
export interface Obstacles {
  readonly exclusive: string;
  /** Prefix; given where sharers are in the way too. */
  readonly sharers?: string | undefined;
  /** Prefix of marks of paused guests; given where they have to be told that somebody has had the lock. */
  readonly paused?: string;
}

/** A mark of a paused guest that is changed: another one has the lock now. */
export interface ChangedMark {
  readonly key: string;
  readonly before: string;
  readonly after: string;
}

/** What a lock that is taken does with marks of paused guests. */
export interface Marks {
  /** Every one that there is. */
  readonly seen: readonly KeyValue[];
  readonly changed: readonly ChangedMark[];
  /** The mark of whoever takes the lock, which is not needed any more. */
  readonly dropped: readonly Pick<ClusterLock, "key" | "own">[];
}

/** Why a change was not made whose epoch is over. */
export const MOVED = "the session or the cluster was changed";

/** So many paused guests of one lock are looked at: the operations of a transaction are limited. */
const MOST_MARKS = 50;
/** Why a lock is not had of which there are more: those that were not read would not be told. */
export const TOO_MANY_MARKS = "too many guests are paused that have had it";

/** Reads keys as they are at one moment: one result for each. */
export function read(...keys: readonly string[]): Transaction {
  return { compare: [], success: keys.map((key) => ({ op: "get", key })), failure: [] };
}

/** The same, and tells whether all of this holds: what is read does not go by that. */
export function readComparing(compare: readonly Compare[], ...keys: readonly string[]): Transaction {
  const { success } = read(...keys);
  return { compare, success, failure: compare.length === 0 ? [] : success };
}

/**
 * Reads keys by a transaction with as many comparisons as any has: an etcd that is set to take fewer refuses
 * it at once, and not only when there are many locks.
 */
export function readAtLimit(key: string, ...keys: readonly string[]): Transaction {
  const compare = Array.from(
    { length: MOST_OPERATIONS },
    () => ({ kind: "changed-at", key, revision: 0 }) as const,
  );
  return readComparing(compare, key, ...keys);
}

/**
 * Tells whether all of this holds. A key is read when it does not: of a transaction without any operation
 * etcd has one member alone answer, which may be behind all others (`isTxnSerializable` in its server).
 */
export function whether(compare: readonly Compare[], key: string): Transaction {
  return { compare, success: [], failure: [{ op: "get", key }] };
}

/** What stands in the way of a lock: of one that is to be shared, not who shares it. */
export function obstaclesOf(
  keys: Pick<ClusterKeys, "exclusive" | "sharers" | "pausedBelow">,
  name: ClusterName,
  shared: boolean,
): Obstacles {
  return {
    exclusive: keys.exclusive(name),
    // Whoever was paused with it alone has to be told of sharers too: they write as well.
    paused: keys.pausedBelow(name),
    ...shared ? {} : { sharers: keys.sharers(name) },
  };
}

/** Reads what stands in the way of a lock, but for marks. */
export function obstacles({ exclusive, sharers }: Obstacles): Transaction {
  return { compare: [], success: obstacleReads([exclusive], sharers), failure: [] };
}

function obstacleReads(keys: readonly string[], sharers: string | undefined): KeyOperation[] {
  const shares = sharers === undefined ? [] : [{ op: "list", prefix: sharers, limit: 3 } as const];
  return [...keys.map((key) => ({ op: "get", key } as const)), ...shares];
}

function markReads(paused: string | undefined): KeyOperation[] {
  return paused === undefined ? [] : [{ op: "list", prefix: paused, limit: MOST_MARKS }];
}

/** That marks are as they were. @param seen undefined: there was none */
function sameMarks(paused: string | undefined, seen: readonly KeyValue[] | undefined): Compare[] {
  if (seen === undefined) return paused === undefined ? [] : [{ kind: "none-below", prefix: paused }];
  return seen.map(({ key, changedAt: revision }) => ({ kind: "changed-at", key, revision }));
}

/**
 * Takes a lock that nobody has, nor this session a share of it, which would be written over.
 *
 * @param marks of paused guests that there are, as they were a moment ago; undefined: there is none
 */
export function acquire(
  epoch: Epoch,
  lock: ClusterLock,
  { exclusive, sharers, paused }: Obstacles,
  marks?: Marks,
): Transaction {
  const keys = lock.key === exclusive ? [exclusive] : [exclusive, lock.key];
  return {
    compare: [
      ...stillIn(epoch),
      ...keys.map((key) => ({ kind: "changed-at", key, revision: 0 } as const)),
      ...sharers === undefined ? [] : [{ kind: "none-below", prefix: sharers } as const],
      // Whoever has the lock in between changes all of them.
      ...sameMarks(paused, marks?.seen),
    ],
    success: [
      ...puts(lock),
      ...marks?.changed.map(({ key, after: value }) => ({ op: "put", key, value }) as const) ?? [],
      ...marks?.dropped.flatMap(deletes) ?? [],
    ],
    failure: [
      ...epochReads(epoch),
      ...obstacleReads(keys, sharers),
      ...markReads(paused),
    ],
  };
}

/** Puts a lock where the same session has one already, of which nobody here knows. */
export function replace(epoch: Epoch, lock: ClusterLock, revision: number): Transaction {
  return {
    compare: [...stillIn(epoch), { kind: "changed-at", key: lock.key, revision }],
    success: puts(lock),
    failure: epochReads(epoch),
  };
}

/** Writes the record of a lock anew that the same session has. @param before its record until now */
export function rewrite(epoch: Epoch, lock: ClusterLock, before: string): Transaction {
  return {
    compare: [...stillIn(epoch), { kind: "value", key: lock.key, value: before }],
    success: puts(lock),
    failure: epochReads(epoch),
  };
}

/**
 * Gives a lock back.
 *
 * @param want key of those who ask for it: they are told by its end
 * @param mark put in its place, for a guest that is paused; one that is there is not written over: it may say
 *   that somebody else has had the lock
 * @param unused what paused guests were told of it, though nobody was granted it: taken back as long as the
 *   lock is there, for whoever has it next relies on that they are told
 */
export function release(
  epoch: Epoch,
  { key, own, value }: ClusterLock,
  want: string,
  mark?: ClusterLock,
  unused: readonly ChangedMark[] = [],
): Transaction {
  return {
    compare: [
      ...stillIn(epoch),
      { kind: "value", key, value },
      ...mark === undefined ? [] : [{ kind: "changed-at", key: mark.key, revision: 0 } as const],
      ...unused.map(({ key, after }) => ({ kind: "value", key, value: after }) as const),
    ],
    success: [
      ...deletes({ key, own }),
      { op: "delete", key: want },
      ...mark === undefined ? [] : puts(mark),
      ...unused.map(({ key, before }) => ({ op: "put", key, value: before }) as const),
    ],
    failure: [
      ...epochReads(epoch),
      { op: "get", key },
      ...mark === undefined ? [] : [{ op: "get", key: mark.key } as const],
      ...unused.map(({ key }) => ({ op: "get", key }) as const),
    ],
  };
}

/** Takes an entry out of a session's list whose lock has gone. */
export function forget(epoch: Epoch, { key, own, value }: ClusterLock): Transaction {
  return {
    compare: [...stillIn(epoch), { kind: "value", key: own, value }],
    success: [{ op: "delete", key: own }],
    failure: [...epochReads(epoch), { op: "get", key }],
  };
}

/** Marks a guest whose lock others have got, so that it does not go on over what they have written. */
export function putMark(epoch: Epoch, mark: ClusterLock): Transaction {
  return { compare: stillIn(epoch), success: puts(mark), failure: epochReads(epoch) };
}

/**
 * Marks a guest that was paused before this host was a member, if nobody has its lock, nor marked it.
 *
 * @param seen marks of other guests that there are, as they were a moment ago; undefined: there is none. They
 *   are written anew as they are: whoever has gone over them, and is about to take the lock, goes over this
 *   one too
 */
export function putFreshMark(
  epoch: Epoch,
  mark: ClusterLock,
  { exclusive, sharers, paused }: Obstacles,
  seen?: readonly KeyValue[],
): Transaction {
  return {
    compare: [
      ...stillIn(epoch),
      ...[exclusive, mark.key].map((key) => ({ kind: "changed-at", key, revision: 0 } as const)),
      ...sharers === undefined ? [] : [{ kind: "none-below", prefix: sharers } as const],
      ...sameMarks(paused, seen),
    ],
    success: [...puts(mark), ...(seen ?? []).map(({ key, value }) => ({ op: "put", key, value } as const))],
    failure: [...epochReads(epoch), ...obstacleReads([exclusive], sharers), ...markReads(paused)],
  };
}

/** Takes a mark away whose guest has ended. */
export function unmark(epoch: Epoch, mark: Pick<ClusterLock, "key" | "own">): Transaction {
  return { compare: stillIn(epoch), success: deletes(mark), failure: epochReads(epoch) };
}

/** Takes a lock, or a mark, away, and its entry in the list of what its session has. */
export function deletes({ key, own }: Pick<ClusterLock, "key" | "own">): KeyOperation[] {
  return [{ op: "delete", key }, { op: "delete", key: own }];
}

function puts({ key, own, value }: ClusterLock): KeyOperation[] {
  return [{ op: "put", key, value }, { op: "put", key: own, value }];
}
