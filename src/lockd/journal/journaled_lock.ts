import type { LockKind } from "../lockspace/lock_file.ts";
import type { LockRecord } from "../lockspace/lock_record.ts";
import type { Holding, Owner } from "../lockspace/owner.ts";

/** An owner, with what tells its process from a later one of the same pid. */
export interface OwnerRecord extends Owner {
  /**
   * Start time of its process in clock ticks since boot; 0 when unknown. The process is `hostPid`, else
   * `pid`; of an owner that is not of the daemon's namespace `hostPid` is there whenever this is known.
   */
  readonly start: number;
}

/** A holding. */
export type HoldingRecord = Holding<OwnerRecord>;

/** A lock as the journal has it. */
export interface JournaledLock {
  readonly record: LockRecord<OwnerRecord>;
  /** How the kernel holds it. */
  readonly lock: LockKind;
  /** Its slot in the store; absent where none keeps its descriptor. */
  readonly slot?: number;
}
