import type { LockHandle } from "./lock_handle.ts";
import type { LockRecord, LockState, Regrant } from "./lock_record.ts";
import type { Holding } from "./owner.ts";

/**
 * A locked resource: a lock with what it is held by. Exists until its kernel lock is known to be released:
 * one in doubt stays, because its old writer may still be there. Only the lock table changes it.
 */
export interface Resource extends LockRecord {
  handle: LockHandle;
  readonly holdings: Holding[];
  state: LockState;
  regrant?: Regrant | undefined;
}

/**
 * A resource as the table keeps it, of which there may be tens of thousands. The path of its file is made of
 * lockspace and name each time that it is asked for: it is the longest of its texts.
 */
export class KeptResource implements Resource {
  readonly id: number;
  readonly lockspace: string;
  readonly name: string;
  readonly shared: boolean;
  readonly autocreate: boolean;
  readonly holdings: Holding[];
  handle: LockHandle;
  state: LockState;
  regrant: Regrant | undefined;

  constructor(parts: Omit<Resource, "path">) {
    this.id = parts.id;
    this.lockspace = parts.lockspace;
    this.name = parts.name;
    this.shared = parts.shared;
    this.autocreate = parts.autocreate;
    this.holdings = parts.holdings;
    this.handle = parts.handle;
    this.state = parts.state;
    this.regrant = parts.regrant;
  }

  get path(): string {
    return lockFilePath(this.lockspace, this.name);
  }
}

/** Whether it is the lock of a disk, which a guest opens, and no lease. */
export function isOfDisk({ lockspace, autocreate }: Resource): boolean {
  return lockspace === "" || autocreate;
}

/** A resource of an earlier life. @param path of its file, which somebody else may have written down */
export function restoredResource(parts: Omit<Resource, "path">, path: string): Resource {
  const usual = path === lockFilePath(parts.lockspace, parts.name);
  return usual ? new KeptResource(parts) : { ...parts, path };
}

/** The file of a resource name in a lockspace, "" for the default one. */
export function lockFilePath(lockspace: string, name: string): string {
  return lockspace === "" ? name : `${lockspace}/${name}`;
}
