import type { Holding, Owner } from "./owner.ts";
import type { NoHandle } from "./lock_handle.ts";
import type { LockKind } from "./lock_file.ts";

/**
 * A lock as data: what is to be known of it whoever has it, this life of the daemon or the next one. What it
 * is held by is not part of it (see lock_handle.ts).
 *
 * Written down in three places, each with one codec: the journal (src/lockd/journal/lock_codec.ts), the
 * restart document (src/lockd/restart/lock_codec.ts) and the status (src/lockd/status/lock_entry.ts).
 */
export interface LockRecord<O extends Owner = Owner> {
  /** Unique in this daemon's life, also across re-exec and crash. */
  readonly id: number;
  /** Path of its lockspace, "" for the default one. */
  readonly lockspace: string;
  readonly name: string;
  /** Path of the locked file. */
  readonly path: string;
  readonly shared: boolean;
  readonly autocreate: boolean;
  /** Never empty; an owner may appear several times in a shared resource. */
  readonly holdings: readonly Holding<O>[];
  readonly state: LockState;
  /**
   * Why its owner may not know that it has it, or has released it, and what it is told when it asks; absent
   * nearly always.
   */
  readonly regrant?: Regrant | undefined;
}

/** See {@link LockRecord.regrant}. */
export type Regrant =
  /** It was granted over a connection, since closed, on which a later lock was refused. */
  | "half-failed"
  /**
   * It was granted when all else that its owner had was released, as of a guest that is paused: what is
   * attached to it then, and what it gets again to be resumed: until it has got all of it again, and lets
   * something go anew.
   */
  | "while-paused"
  /**
   * It was released for a guest that is paused, and other hosts may lock the same: it is kept as if it was
   * held until somebody else asks for it, and its owner gets it again at any time.
   */
  | "parked"
  /**
   * It was parked, and somebody else has asked for it; or it was released and not to be parked; or its owner
   * is gone and writes no more. It is being released for other hosts too, which nothing takes back.
   */
  | "leaving";

/** Where a lock is in its life. */
export type LockState =
  | { readonly kind: "held" }
  /** The last owner has gone and slow storage is still releasing it. */
  | { readonly kind: "releasing" }
  /**
   * It could not be released, or it is not certain that nobody else has it too; kept and reported, because
   * the old writer may still be there.
   */
  | { readonly kind: "doubtful"; readonly reason: string }
  /**
   * It ended with an earlier daemon, and nothing tells yet whether it can be had again, because its storage
   * has not answered. Nobody else is granted it here meanwhile.
   */
  | { readonly kind: "awaited"; readonly reason: string }
  /**
   * Lost while held: by all that its owner was told it has it, but the kernel does not hold it for this
   * daemon any more, and its guest runs unprotected. Nobody else is granted it here, it is tried again, and
   * its release touches nothing that may be somebody else's by now.
   */
  | { readonly kind: "lost"; readonly reason: string };

/** What nearly every lock is, most of the time. */
export const HELD: LockState = { kind: "held" };

/** Why a lock is in the state that it is in; undefined where there is nothing to say. */
export function reasonOf(state: LockState): string | undefined {
  switch (state.kind) {
    case "held":
    case "releasing":
      return undefined;
    case "doubtful":
    case "awaited":
    case "lost":
      return state.reason;
  }
}

/** Whether a lock is missing: its owner has been told that it has it, and it is not held. */
export function isMissing({ kind }: LockState): boolean {
  return kind === "awaited" || kind === "lost";
}

/** What a lock that changes hands between two lives of the daemon is held by. */
export type HandedHandle =
  | {
    readonly kind: "file";
    readonly fd: number;
    /**
     * "unasked" where libvirt's daemon wrote it down: it makes POSIX locks but also passes on
     * open-file-description locks that it was given, so the kernel has to be asked.
     */
    readonly lock: LockKind | "unasked";
  }
  | NoHandle;

/** A lock on its way from one life of the daemon to the next. The descriptor is only a number here. */
export interface HandedLock<O extends Owner = Owner> {
  readonly record: LockRecord<O>;
  readonly handle: HandedHandle;
}

/** The descriptor that is handed over with a lock; -1 for one that has none. */
export function handedDescriptor(handle: HandedHandle): number {
  return handle.kind === "file" ? handle.fd : handle.place;
}
