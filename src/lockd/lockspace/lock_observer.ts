import type { LockspaceObserver } from "./lock_directories.ts";
import type { UnlockFailed } from "./lock_files.ts";
import type { Holding, Owner } from "./owner.ts";
import type { ParkedLock } from "./parked_locks.ts";
import type { Refusal } from "./refusal.ts";
import type { Resource } from "./resource.ts";

/** Told of every change in the same turn in which it happens, before any reply is sent. */
export interface LockObserver extends LockspaceObserver {
  /** A resource was locked, or an owner was added to a shared one. */
  granted(resource: Resource, holding: Holding): void;
  /** An owner was taken off; `last` when the kernel lock has gone with it. */
  released(resource: Resource, owner: Owner, last: boolean): void;
  /** An owner asked again for what it has, and was told that it has it. */
  regranted(resource: Resource): void;
  /** A lock was released for a paused guest, and is kept until somebody else asks for it. */
  kept(resource: Resource): void;
  /** A lock that was kept is held again: by the guest that is resumed, or by one that shares it. */
  givenBack(resource: Resource): void;
  /**
   * From now on a lock is being released for other hosts too, which nothing takes back: somebody asks for one
   * that was kept, its owner has released one that is not to be kept, or is gone and writes no more.
   */
  leaving(resource: Resource): void;
  /** What an owner got in place of what was released for it is known to be of a guest that has gone on. */
  wentOn(resource: Resource): void;
  /** It may not know that it has it. */
  regrantable(resource: Resource): void;
  /** A lock was released for an owner whose process goes on, or its use by another became known. */
  parked(parked: ParkedLock): void;
  /** Its owner got it again. */
  unparked(parked: ParkedLock): void;
  /**
   * An owner got a lock that another domain has used meanwhile; whether its guest was paused is not known.
   */
  resumeUnjudged(resource: Resource, parked: ParkedLock): void;
  /** It became known who an owner is of whom only the pid was known. */
  learnt(resource: Resource): void;
  refused(owner: Owner, refusal: Refusal): void;
  /** The kernel holds a lock in another way now, or it is in doubt, or no more. */
  recast(resource: Resource): void;
  /**
   * A lock turned out not to be held although its owner was told so: its guest runs unprotected. Its state
   * says why. Told again for each other reason.
   *
   * @param how it was lost, as words behind its name
   */
  lost(resource: Resource, how: string): void;
  /** A lost lock is held again. */
  regained(resource: Resource): void;
  /** A lock could not be released, and is kept; or it was, but its autocreated file was left behind. */
  troubled(resource: Resource, failure: UnlockFailed): void;
}
