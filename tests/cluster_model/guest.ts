import { HELD } from "../../src/lockd/lockspace/lock_record.ts";
import type { Owner } from "../../src/lockd/lockspace/owner.ts";
import type { Resource } from "../../src/lockd/lockspace/resource.ts";

/** Two guests had one disk, or something stayed that nobody holds. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** The lock directory of every host. */
export const SPACE = "/locks";
/** Every lock file's: a history does not look at files. */
export const IDENTITY = { devMajor: 0, devMinor: 0, inodeLow: 1, inodeHigh: 0 };

/** A guest with one disk. */
export interface Guest {
  readonly pid: number;
  /** Of its domain: those of one that migrates have the same. */
  readonly uuid: string;
  readonly host: number;
  readonly disk: string;
  readonly shared: boolean;
  /** Whether it comes from another host, and may turn out not to start. */
  readonly incoming: boolean;
  /**
   * "asking": not granted; "running": it writes; "paused": it does not, and may go on; "resuming": it asks
   * for its lock again; "ended": its lock is being released.
   */
  state: "asking" | "running" | "paused" | "resuming" | "ended";
  /** Of one that is paused: "kept" until somebody asks for it, "leaving" while it is given up. */
  lock: "kept" | "leaving" | "none";
  /** It cannot write: its host was cut off from the disks when somebody said so. */
  cut: boolean;
}

/** States of guests that may write some time. */
export const STARTED: readonly Guest["state"][] = ["running", "paused", "resuming"];

/** Path of the lock file of a guest's disk. */
export function pathOf({ disk }: Pick<Guest, "disk">): string {
  return `${SPACE}/${disk}`;
}

/** A guest as its daemon knows it. */
export function ownerOf({ pid, uuid }: Guest): Owner {
  return { pid, name: `g${pid}`, uuid, id: 1 };
}

/** What its daemon asks for. */
export function lockRequest(guest: Guest) {
  const owner = ownerOf(guest);
  const path = pathOf(guest);
  return { path, shared: guest.shared, autocreate: true, followLinks: false, owner, resumed: () => true };
}

/** What its daemon gives back. */
export function unlockRequest(guest: Guest) {
  const { shared } = guest;
  return { path: pathOf(guest), fd: 1, lock: "ofd", shared, autocreate: true, force: true } as const;
}

/** A guest's lock as the lock table of its host has it. @param others of the same host that share it */
export function resourceOf(guest: Guest, others: readonly Guest[]): Resource {
  const { pid, disk, shared, state, lock } = guest;
  return {
    id: pid,
    lockspace: SPACE,
    name: disk,
    path: pathOf(guest),
    shared,
    autocreate: true,
    holdings: [guest, ...others].map((each) => ({ owner: ownerOf(each), since: 0 })),
    state: state === "ended" || lock === "leaving" ? { kind: "releasing" } : HELD,
    handle: { kind: "file", fd: 1, identity: IDENTITY, lock: "ofd" },
  };
}
