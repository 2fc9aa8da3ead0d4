import { invariant } from "../../base/invariant.ts";
import type { FileIdentity } from "./file_identity.ts";
import type { LockKind } from "./lock_file.ts";
import { type NoHandle, noHandle } from "./lock_handle.ts";
import { HELD, isMissing, type LockState } from "./lock_record.ts";
import type { LockTableParts } from "./lock_table_parts.ts";
import type { Resource } from "./resource.ts";

/** What becomes of the kernel's locks of resources while they are held. */
export class KernelLocks {
  readonly #parts: Pick<LockTableParts, "ledger" | "guard" | "observer">;

  constructor(parts: Pick<LockTableParts, "ledger" | "guard" | "observer">) {
    this.#parts = parts;
  }

  /**
   * A lost lock is taken again at last.
   *
   * @param fd the locked descriptor, whose ownership passes to the table
   */
  seize(resource: Resource, fd: number, identity: FileIdentity): void {
    const { ledger, guard, observer } = this.#parts;
    const { handle, state } = resource;
    invariant(isMissing(state), `Seize ${resource.name}: it is ${state.kind}`);
    resource.handle = { kind: "file", fd: ledger.own(fd, "lock"), identity, lock: "ofd" };
    resource.state = HELD;
    // Nothing is held by the old one, and its storage has just answered.
    if (handle.kind === "file") guard.close(handle.fd, handle.identity);
    else this.closePlace(handle);
    observer.regained(resource);
  }

  /**
   * A lock is not held although its owner was told so.
   *
   * @param state awaited while its storage has not said whether it can be had again
   * @param how it was lost, as words behind its name
   */
  lose(resource: Resource, state: Extract<LockState, { kind: "awaited" | "lost" }>, how: string): void {
    const before = resource.state;
    invariant(before.kind !== "releasing", `Lose ${resource.name}: it is being released`);
    const { handle } = resource;
    const bound = handle.kind === "file" && handle.lock === "posix";
    invariant(!bound, `Lose ${resource.name}: the kernel has its POSIX lock as long as this process lives`);
    resource.state = state;
    this.#parts.observer.lost(resource, how);
  }

  /**
   * Closes the file of a lock that is lost, because it is not the right one: as long as it is open, nobody
   * can unmount what it is on.
   *
   * @param place a descriptor of something else, whose ownership passes to the table; -1 for none
   */
  letGo(resource: Resource, place: number): void {
    const { handle, state } = resource;
    invariant(isMissing(state), `Let go of ${resource.name}: it is ${state.kind}`);
    if (place >= 0) this.#parts.ledger.own(place, "lock");
    resource.handle = noHandle(place);
    if (handle.kind === "file") this.#parts.guard.close(handle.fd, handle.identity);
    else this.closePlace(handle);
  }

  /**
   * Notes how the kernel holds a lock now: by then it is so.
   *
   * @param state held or in doubt; a lock that is being released is left alone by its caller
   */
  recast(resource: Resource, lock: LockKind, state: LockState): void {
    const { handle } = resource;
    invariant(handle.kind === "file", `Recast ${resource.name}: it has no file`);
    invariant(!isMissing(state), `Recast ${resource.name}: it cannot be ${state.kind} then`);
    const { lock: before, identity } = handle;
    resource.handle = { ...handle, lock };
    resource.state = state;
    const { guard, observer } = this.#parts;
    // What was parked for the sake of a POSIX lock may be closed when that is none any more.
    if (before === "posix" && lock === "ofd") guard.unprotect(identity);
    if (before === "ofd" && lock === "posix") guard.protect(identity, resource.shared);
    observer.recast(resource);
  }

  /** Closes what kept the place of a lock without a file. */
  closePlace({ place }: NoHandle): void {
    if (place >= 0) this.#parts.ledger.close(place);
  }
}
