import type { Holding, Owner } from "./owner.ts";
import type { Use } from "./parked_locks.ts";
import type { Place } from "./places.ts";

/** A process outside this daemon that holds a kernel lock. */
export type ForeignHolder =
  | { kind: "process"; pid: number; command: string }
  | { kind: "record"; text: string }
  | { kind: "other-host" }
  /**
   * The file system at this mount point: it keeps locks by itself, also those of processes that have ended.
   */
  | { kind: "file-system"; mount: string }
  /** A host of the cluster: `host` is its name, "" when it is not known. */
  | {
    kind: "host";
    host: string;
    /** Since when it is known that nothing is heard of it, Unix milliseconds; absent: it is heard of. */
    silentSince?: number;
    /** Its guests share the lock, and the one that is named was the first of them. */
    shared: boolean;
    domain: string;
    uuid: string;
    pid: number;
    /** Unix milliseconds. */
    since: number;
  }
  | { kind: "unknown" };

/** A resource that is held here, as a refusal reports it. */
export interface HeldReport {
  /** Name under which it is held; differs from the asked name when two names reach one file. */
  readonly name: string;
  readonly holdings: readonly Holding[];
  /** A holder whose process is being killed. */
  readonly dying: boolean;
  /** Why it stays although the process of a holder is gone. */
  readonly settling?: string;
}

/**
 * Why the lock core did not do what was asked. Values, not exceptions: a refusal is an ordinary answer.
 *
 * Translated to libvirt's error codes in src/lockd/programs/lock_failure.ts.
 */
export type Refusal =
  /** `reason`: why it was not adopted either. */
  | { kind: "lockspace-missing"; path: string; reason?: string }
  /** Its directory is not on the file system where it has to be: other hosts would not see its locks. */
  | { kind: "misplaced"; path: string; wanted: Pick<Place, "source"> & Partial<Place>; found: Place }
  /** Files are not made in a directory that was merely adopted. */
  | { kind: "adopted"; path: string; resource: string }
  | { kind: "lockspace-exists"; path: string }
  | { kind: "default-lockspace-exists" }
  | { kind: "not-a-directory"; path: string }
  | { kind: "held"; resource: string; held: HeldReport }
  | { kind: "pending"; resource: string; owner: string }
  | { kind: "held-elsewhere"; resource: string; by: ForeignHolder }
  | { kind: "not-held"; resource: string }
  /** Others hold it; `asker` does not. */
  | { kind: "not-owner"; resource: string; asker: Owner; held: HeldReport }
  /** Its owner was paused, and another domain could write to the disk meanwhile. */
  | { kind: "used-meanwhile"; resource: string; owner: Owner; use: Use }
  /** Its last owner has gone, but slow storage has not released it yet. */
  | { kind: "releasing"; resource: string }
  | { kind: "owner-dying"; resource: string; pid: number }
  /** A process that is gone had the asker's pid, and its last writes may not have landed. */
  | { kind: "pid-settling"; resource: string; pid: number }
  /** Its owner's process is gone, but its last writes may not have landed. */
  | { kind: "settling"; resource: string; reason: string }
  | { kind: "bad-name"; resource: string; reason: string }
  /** `action` names the subject, e.g. `Unable to open resource /x`. */
  | { kind: "system"; action: string; errno: number; local?: boolean }
  | { kind: "storage"; action: string; reason: string };

/** Called once with undefined on success. May be called before the asking function returns. */
export type Done = (refusal: Refusal | undefined) => void;
