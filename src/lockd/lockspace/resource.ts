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
