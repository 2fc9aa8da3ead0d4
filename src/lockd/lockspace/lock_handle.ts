import type { FileIdentity } from "./file_identity.ts";
import type { LockKind } from "./lock_file.ts";

/** A file that is open here and locked through this descriptor. */
export interface FileHandle {
  readonly kind: "file";
  /** The lock table's; closed only to release. */
  readonly fd: number;
  readonly identity: FileIdentity;
  readonly lock: LockKind;
}

/** Nothing: the lock ended with an earlier daemon, and its file could not be opened again so far. */
export interface NoHandle {
  readonly kind: "none";
  /**
   * A descriptor of something else, the lock table's, which keeps the lock's place in the restart document;
   * -1 when there was none to be had.
   */
  readonly place: number;
}

/** What the daemon holds a lock by. */
export type LockHandle = FileHandle | NoHandle;

/** Stands for a lock whose file is not open. */
export function noHandle(place: number): NoHandle {
  return { kind: "none", place };
}

/** The file that is locked, as a field of what names it; none where it is not known. */
export function identityField(handle: LockHandle): { readonly identity?: FileIdentity } {
  return handle.kind === "file" ? { identity: handle.identity } : {};
}
