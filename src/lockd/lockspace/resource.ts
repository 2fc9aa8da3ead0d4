import type { FileIdentity } from "./file_identity.ts";
import type { LockKind } from "./lock_file.ts";
import type { Holding } from "./owner.ts";

/**
 * A locked resource. Exists until its kernel lock is known to be released: one in doubt stays, because its
 * old writer may still be there.
 */
export interface Resource {
  /** Unique in this daemon's life, also across re-exec and crash. */
  readonly id: number;
  /** Path of its lockspace, "" for the default one. */
  readonly lockspace: string;
  readonly name: string;
  /** Path of the locked file. */
  readonly path: string;
  /**
   * The locked descriptor. Owned by the lock table, which alone changes it; closed only to release. Of one
   * that is awaited, a descriptor of something else that keeps its place.
   */
  fd: number;
  identity: FileIdentity;
  /** Changed by the lock table alone. */
  lock: LockKind;
  readonly shared: boolean;
  readonly autocreate: boolean;
  /** Never empty; an owner may appear several times in a shared resource. */
  readonly holdings: Holding[];
  state: ResourceState;
  /** Why its owner may not know that it has it, and gets it again when it asks; absent nearly always. */
  regrant?: Regrant | undefined;
}

/** See {@link Resource.regrant}. */
export type Regrant =
  /** It was granted over a connection, since closed, on which a later lock was refused. */
  | "half-failed"
  /** It was granted when all else that its owner had was released, as of a guest that is paused. */
  | "while-paused";

/** Where a resource is in its life. */
export type ResourceState =
  | { kind: "held" }
  /** The last owner has gone and slow storage is still releasing it. */
  | { kind: "releasing" }
  /**
   * Release failed or the kernel lock was found missing; kept and reported, because the old writer may still
   * be there.
   */
  | { kind: "doubtful"; reason: string }
  /**
   * An earlier daemon's lock that ended with it and is not taken again yet, and why. Nobody else is granted
   * it here meanwhile.
   */
  | { kind: "awaited"; reason: string };
