import type { LockEntry } from "../status/status_document.ts";

/** A lock as the commands show it. */
export interface ListedLock extends LockEntry {
  /** Path of the disk, where the lock's name is a hash of it and this could be found out. */
  readonly disk?: string;
}

/** Of an owner of whom the daemon cannot tell whether it lives. */
export const UNJUDGED = "whether its owner lives cannot be told";

/** How a lock is, for people. */
export function stateText({ state, reason, kind }: LockEntry): string {
  const text = reason === undefined ? state : `${state}: ${reason}`;
  return kind === "posix" ? `${text} (inherited from libvirt's daemon, will not survive a crash)` : text;
}
