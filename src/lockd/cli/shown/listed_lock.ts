import type { HolderEntry, LockEntry } from "../../status/status_document.ts";

/** A lock as the commands show it. */
export interface ListedLock extends LockEntry {
  /** Path of the disk, where the lock's name is a hash of it and this could be found out. */
  readonly disk?: string;
}

/** What is to be said of the process of a holder; undefined of one that lives. */
export function processText({ process }: HolderEntry): string | undefined {
  switch (process) {
    case undefined:
      return undefined;
    case "ended":
      return "its owner has ended";
    case "stopped":
      return "its guest is stopped";
    case "unjudged":
      return "whether its owner lives cannot be told";
  }
}

/** How a lock is, for people. */
export function stateText({ state, reason, kind }: LockEntry): string {
  const text = reason === undefined ? state : `${state}: ${reason}`;
  return kind === "posix" ? `${text} (inherited from libvirt's daemon, will not survive a crash)` : text;
}
