import type { LockState } from "../lockspace/lock_record.ts";

// Why the cluster does not grant a lock that this host has. A lock's state has the reason as a text, also in
// the next life of the daemon, which knows by it again that etcd can tell the truth.

/** Another session has it in etcd. */
export const HELD_BY_ANOTHER = "another host of the cluster holds it";
/** Somebody has taken the key away, and another session has it since. */
export const CHANGED_BY_HAND =
  "somebody has changed its key in etcd by hand, and it is not this host's any more";
/** It was given up by the word that makes a host leave. */
export const LEFT_BEHIND = "this host has left the cluster, and has given it up";

/** Whether a lock is in doubt because of what etcd has. */
export function isClustersDoubt(state: LockState): boolean {
  return state.kind === "doubtful" &&
    [HELD_BY_ANOTHER, CHANGED_BY_HAND, LEFT_BEHIND].some((reason) => state.reason.startsWith(reason));
}
