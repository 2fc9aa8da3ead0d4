import type { ClusterKeys } from "./keys.ts";
import type { ClusterName } from "./names.ts";
import type { Compare, KeyOperation, Transaction } from "../../etcd/wire/transaction.ts";

/** A lock as a session has it in etcd. */
export interface ClusterLock {
  /** Where others look. */
  readonly key: string;
  /** The same in the list of what the session has. */
  readonly own: string;
  /** The holder's record, in both. */
  readonly value: string;
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
function epochReads({ sessionKey, metaKey }: Epoch): KeyOperation[] {
  return [{ op: "get", key: sessionKey }, { op: "get", key: metaKey }];
}

/** How many reads of a failed transaction are those of the epoch. */
export const EPOCH_READS = 2;

/** What stands in the way of a lock. */
export interface Obstacles {
  readonly exclusive: string;
  /** Prefix; given where sharers are in the way too. */
  readonly sharers?: string;
}

/** Reads keys as they are at one moment: one result for each. */
export function read(...keys: readonly string[]): Transaction {
  return { compare: [], success: keys.map((key) => ({ op: "get", key })), failure: [] };
}

/** What stands in the way of a lock: of one that is to be shared, only who has it alone. */
export function obstaclesOf(
  keys: Pick<ClusterKeys, "exclusive" | "sharers">,
  name: ClusterName,
  shared: boolean,
): Obstacles {
  return { exclusive: keys.exclusive(name), ...shared ? {} : { sharers: keys.sharers(name) } };
}

/** Takes a lock that nobody has, nor this session a share of it, which would be written over. */
export function acquire(epoch: Epoch, lock: ClusterLock, { exclusive, sharers }: Obstacles): Transaction {
  const keys = lock.key === exclusive ? [exclusive] : [exclusive, lock.key];
  return {
    compare: [
      ...stillIn(epoch),
      ...keys.map((key) => ({ kind: "changed-at", key, revision: 0 } as const)),
      ...sharers === undefined ? [] : [{ kind: "none-below", prefix: sharers } as const],
    ],
    success: puts(lock),
    failure: [
      ...epochReads(epoch),
      ...keys.map((key) => ({ op: "get", key } as const)),
      ...sharers === undefined ? [] : [{ op: "list", prefix: sharers, limit: 3 } as const],
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

/** Gives a lock back. */
export function release(epoch: Epoch, { key, own, value }: ClusterLock): Transaction {
  return {
    compare: [...stillIn(epoch), { kind: "value", key, value }],
    success: [{ op: "delete", key }, { op: "delete", key: own }],
    failure: [...epochReads(epoch), { op: "get", key }],
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

function puts({ key, own, value }: ClusterLock): KeyOperation[] {
  return [{ op: "put", key, value }, { op: "put", key: own, value }];
}
