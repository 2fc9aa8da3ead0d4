import { GrantTrail } from "./grant_trail.ts";
import { identityField } from "./lock_handle.ts";
import type { AcquireOptions, LockTableParts } from "./lock_table_parts.ts";
import type { Lockspace } from "./lockspace.ts";
import type { OwnedResources } from "./owned_resources.ts";
import { isHeldBy, type Owner, type OwnerKey, ownerKey } from "./owner.ts";
import { type ParkedLock, ParkedLocks, type Unparked } from "./parked_locks.ts";
import type { Resource } from "./resource.ts";

/** What paused guests need to be known by. */
export type PausedGuestsParts = Pick<
  LockTableParts,
  "watch" | "opened" | "observer" | "staleResumeAllowed" | "others"
>;

/**
 * What libvirt's way with paused guests asks for: it releases all locks of a guest that is paused, asks for
 * them again when it is resumed, and gives up at the first refusal without releasing what it has got.
 */
export class PausedGuests {
  readonly #parts: PausedGuestsParts;
  readonly #owned: OwnedResources;
  /** What was released for owners whose process goes on. */
  readonly parked = new ParkedLocks();
  /** Owners that were refused a lock right after their first ones, and got nothing since. */
  readonly #unstarted = new Set<OwnerKey>();
  /** Locks that guests got again to be resumed, and with which none was refused another one since. */
  readonly #resumed = new WeakSet<Resource>();

  constructor(parts: PausedGuestsParts, owned: OwnedResources) {
    this.#parts = parts;
    this.#owned = owned;
  }

  /**
   * An owner has got a lock: it may be its own parked one, or a use of somebody else's.
   *
   * @param since Unix milliseconds
   */
  granted(resource: Resource, owner: Owner, since: number): Unparked | undefined {
    const unparked = this.parked.granted(resource, owner, since);
    if (unparked?.taken !== undefined) {
      this.#unparked(resource, unparked.taken, owner);
      this.#resumed.add(resource);
    }
    for (const used of unparked?.used ?? []) this.#parts.observer.parked(used);
    return unparked;
  }

  /** An owner is about to be granted a lock. */
  getting(owner: Owner, trail: GrantTrail): void {
    const key = ownerKey(owner);
    if (this.#unstarted.size > 0) this.#unstarted.delete(key);
    if (this.#owned.has(key)) return;
    const [parked] = this.parked.of(key);
    if (parked === undefined) trail.first = true;
  }

  /**
   * Whether the guest of an owner has not run since that was given its first lock: it was refused another
   * one, as the target of a migration that fails then. It has written nothing that these locks would guard.
   */
  hasNotRun(owner: Owner): boolean {
    return this.#unstarted.has(ownerKey(owner));
  }

  #doesNotStart(owner: Owner, trail: GrantTrail): void {
    const key = ownerKey(owner);
    if (!trail.first || !this.#owned.of(key).every((resource) => trail.has(resource))) return;
    for (const other of this.#unstarted) if (!this.#owned.has(other)) this.#unstarted.delete(other);
    this.#unstarted.add(key);
  }

  /** An owner was refused a lock: what it had got before was no use. @param lockspace its path */
  refused(lockspace: string, name: string, owner: Owner, trail: GrantTrail): void {
    const { others } = this.#parts;
    this.#addLost(lockspace, name, owner, trail);
    this.#doesNotStart(owner, trail);
    for (const resource of trail.held) this.#resumed.delete(resource);
    if (others !== undefined) { for (const { path } of trail.held) others.unused(path); }
    const unused = trail.refused();
    this.parked.unused(unused);
    for (const parked of unused) this.#parts.observer.parked(parked);
  }

  /**
   * Of a connection that an earlier daemon had it is not known what that has granted over it. Where it is
   * refused what was released for its owner, a guest is resumed in vain: it may have got each of its locks.
   */
  #addLost(lockspace: string, name: string, owner: Owner, trail: GrantTrail): void {
    if (!trail.isLost || this.parked.find(lockspace, name, owner) === undefined) return;
    for (const resource of this.#owned.of(ownerKey(owner))) {
      if (!resource.shared && !trail.has(resource)) trail.mayHaveGranted(resource);
    }
  }

  /** Whether an owner gets something while it is paused: it has nothing, and gets what is attached to it. */
  isAttached(owner: Owner): boolean {
    const key = ownerKey(owner);
    const [parked] = this.parked.of(key);
    return parked !== undefined && this.#owned.of(key).every(isOfPaused);
  }

  /**
   * Whether an owner's guest has not gone on with a lock since it was paused, and asks for it again before it
   * does, or has not been started with it at all. One that is resumed, or is about to be, has gone on.
   */
  hasNotGoneOn(resource: Resource): boolean {
    const [holding] = resource.holdings;
    switch (resource.regrant) {
      case "parked":
      case "half-failed":
        return true;
      case "while-paused":
        // It is said of what a guest gets in place of what was released for it, also when that resumes it.
        return holding !== undefined && !this.#resumed.has(resource) &&
          this.#hasOpen(holding.owner, this.parked.of(ownerKey(holding.owner)));
      case "leaving":
      case undefined:
        return false;
    }
  }

  /** Whether an owner's guest still has a disk open that was released for it: it is paused. */
  #hasOpen(owner: Owner, released: Iterable<ParkedLock>): boolean {
    const { watch, opened } = this.#parts;
    const process = watch.processOf(ownerKey(owner));
    return process !== undefined && [...released].some((parked) => opened(process.pid, parked) === "open");
  }

  /**
   * Whether an owner that asks for what it has itself gets it, as one holding: if libvirt may not know that
   * it has it, or it would be refused for ever. Otherwise it is refused, because libvirt would take that for
   * the grant of a second use and release it.
   */
  mayRegrant(resource: Resource, options: AcquireOptions, owner: Owner, trail: GrantTrail): boolean {
    const [holding] = resource.holdings;
    const own = holding !== undefined && isHeldBy(holding.owner, owner) && resource.state.kind === "held" &&
      !resource.shared && !options.shared;
    return own && this.#mayNotKnow(resource, owner, trail);
  }

  /**
   * It gets it. Its guest uses the lock from now on, also where it was refused another one after the first
   * grant, and so had not used it.
   *
   * @param since Unix milliseconds
   */
  regrant(resource: Resource, owner: Owner, trail: GrantTrail, since: number): Unparked | undefined {
    this.getting(owner, trail);
    resource.regrant = undefined;
    this.#parts.observer.regranted(resource);
    return this.granted(resource, owner, since);
  }

  #mayNotKnow(resource: Resource, owner: Owner, trail: GrantTrail): boolean {
    if (resource.regrant === "half-failed") return true;
    const { watch, opened } = this.#parts;
    const key = ownerKey(owner);
    const process = watch.processOf(key);
    if (process === undefined) return false;
    // A paused guest has its disks open still. What was detached it has not.
    const paused = resource.regrant === "while-paused" &&
      this.#hasOpen(owner, [...trail.taken, ...this.parked.of(key)]);
    const { lockspace, name, path, handle } = resource;
    return paused || opened(process.pid, { lockspace, name, path, ...identityField(handle) }) === "not-open";
  }

  /**
   * Whether an owner that asks for a lock may be a guest that is resumed: it has nothing but what it was
   * granted over this connection, and what it has from the time when it was paused. Where it is not known
   * what it was granted over this connection, it may be one as long as something was released for it.
   */
  mayResume(owner: Owner, trail: GrantTrail): boolean {
    const key = ownerKey(owner);
    const [parked] = this.parked.of(key);
    if (trail.isLost && parked !== undefined) return true;
    return this.#owned.of(key).every((resource) =>
      resource.regrant !== undefined || resource.state.kind === "releasing" || trail.has(resource)
    );
  }

  /** The parked lock of a guest that is resumed and must not be, because another one has used its disk. */
  stale(lockspace: Lockspace, name: string, options: AcquireOptions, owner: Owner): ParkedLock | undefined {
    const parked = this.parked.find(lockspace.path, name, owner);
    if (parked?.use === undefined || options.shared) return undefined;
    if (this.#parts.staleResumeAllowed(owner)) return undefined;
    const process = this.#parts.watch.processOf(ownerKey(owner));
    if (process === undefined) return undefined;
    return this.#parts.opened(process.pid, parked) === "open" ? parked : undefined;
  }

  /** libvirt has released it. If the process goes on, its guest is paused, or has let the disk go. */
  released({ lockspace, name, path, handle }: Resource, owner: Owner): void {
    const key = ownerKey(owner);
    if (this.#parts.watch.processOf(key) === undefined) return;
    this.#wentOn(key);
    // Of what was kept for it others may have been said to have it meanwhile.
    const use = this.parked.find(lockspace, name, owner)?.use;
    const parked = { lockspace, name, path, ...identityField(handle), owner, use };
    this.parked.park(parked);
    this.#parts.observer.parked(parked);
  }

  /**
   * A guest that lets go of something and had got again all that was released for it before has gone on with
   * what it has: if this is a disk that is detached, it may be attached again whoever had it meanwhile. One
   * that was refused something has not, although nothing may be left that was released for it.
   */
  #wentOn(owner: OwnerKey): void {
    const [parked] = this.parked.of(owner);
    if (parked !== undefined) return;
    const owned = this.#owned.of(owner);
    if (owned.some(({ regrant }) => regrant === "half-failed")) return;
    for (const resource of owned) {
      if (resource.regrant !== "while-paused" || resource.state.kind === "releasing") continue;
      resource.regrant = undefined;
      this.#parts.observer.wentOn(resource);
    }
  }

  #unparked(resource: Resource, parked: ParkedLock, owner: Owner): void {
    const { watch, opened, observer } = this.#parts;
    const process = parked.use === undefined ? undefined : watch.processOf(ownerKey(owner));
    // What it has not open was attached anew, and nothing of it is remembered.
    const attached = process === undefined || opened(process.pid, parked) === "not-open";
    if (parked.use !== undefined && !attached) observer.resumeUnjudged(resource, parked);
    observer.unparked(parked);
  }
}

/** Whether its owner has a lock although its guest is paused. */
function isOfPaused({ regrant }: Resource): boolean {
  return regrant === "while-paused" || regrant === "parked" || regrant === "leaving";
}
