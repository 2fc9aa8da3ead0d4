import type { LockState } from "../../lockspace/lock_record.ts";

// Why the cluster does not grant a lock that this host has. A lock's state has the reason as a text, also in
// the next life of the daemon, which knows by it again that etcd can tell the truth.

/** Another session has it in etcd. */
export const HELD_BY_ANOTHER = "another host of the cluster holds it";
/** The same, since this host was fenced, or in the time in which its daemon did not run. */
const LOST = ", which this one has lost ";
/** Somebody has taken the key away, and another session has it since. */
export const CHANGED_BY_HAND =
  "somebody has changed its key in etcd by hand, and it is not this host's any more";
/** It was given up by the word that makes a host leave. */
export const LEFT_BEHIND = "this host has left the cluster, and has given it up";

/** It was given up by the word that this host is off. */
export const LEFT_OUT =
  "etcd was recovered without this host, which was said to be off: its locks were given up";
/** Another session has got what was given up by either word. */
export const LOST_WHEN_GIVEN_UP = `${HELD_BY_ANOTHER}${LOST}when it was made to leave, or said to be off`;

/** Somebody has taken the key away while nobody here could see it. */
export const LOST_MEANWHILE = `${HELD_BY_ANOTHER}${LOST}while its daemon did not run`;

/**
 * Another session has it in etcd, which has got it when this host was fenced.
 *
 * @param by who has said so; "" when that is not known
 */
export function lostWhenFenced(by: string): string {
  return `${HELD_BY_ANOTHER}${LOST}when it was fenced${by === "" ? "" : ` by ${by}`}`;
}

/**
 * Whether a reason says that another session has got the lock while this host had it. What two hosts have of
 * which none has lost it, as when a cluster is opened, is nobody's fault that can be told.
 */
export function isLoss(reason: string): boolean {
  return reason.startsWith(CHANGED_BY_HAND) || reason.startsWith(`${HELD_BY_ANOTHER}${LOST}`);
}

/** Whether a lock is in doubt because of what etcd has. */
export function isClustersDoubt(state: LockState): boolean {
  return isAnothers(state) || isGivenUp(state);
}

/** Whether a lock is in doubt because another session has it. */
export function isAnothers(state: LockState): boolean {
  return beginsWith(state, [HELD_BY_ANOTHER, CHANGED_BY_HAND]);
}

/** Whether a lock is in doubt because it was given up by somebody's word, and nobody is known to have it. */
export function isGivenUp(state: LockState): boolean {
  return beginsWith(state, [LEFT_BEHIND, LEFT_OUT]);
}

function beginsWith(state: LockState, reasons: readonly string[]): boolean {
  return state.kind === "doubtful" && reasons.some((reason) => state.reason.startsWith(reason));
}
