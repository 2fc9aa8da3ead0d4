import type { FileIdentity } from "./file_identity.ts";
import { type Owner, type OwnerKey, ownerKey } from "./owner.ts";
import type { Resource } from "./resource.ts";

/**
 * A lock that was released for an owner whose process goes on: its guest is paused, or has let the disk go.
 */
export interface ParkedLock {
  readonly lockspace: string;
  readonly name: string;
  readonly path: string;
  /** Of the locked file; absent where it is not known any more. */
  readonly identity?: FileIdentity;
  readonly owner: Owner;
  /** Who has had it since, exclusively and as another domain; the last one. */
  use: Use | undefined;
}

/** Whether an owner stands for one that is not known any more. */
export function isNobodyKnown({ pid, uuid }: Owner): boolean {
  return pid === NOBODY_KNOWN.pid && uuid === NOBODY_KNOWN.uuid;
}

/** What a grant meant for parked locks. */
export interface Unparked {
  /** The new owner's own one, which it has again. */
  readonly taken: ParkedLock | undefined;
  /**
   * Those of others that it is a use of; {@link ParkedLocks.unused} takes that back if nothing came of it.
   */
  readonly used: readonly ParkedLock[];
}

/** That a domain had a lock. */
export interface Use {
  readonly owner: Owner;
  /** Unix milliseconds of the grant. */
  readonly since: number;
  /** Name of the host on which, where it is another one. */
  readonly host?: string;
}

const NIL = "00000000-0000-0000-0000-000000000000";
/** Stands for who has had a lock where that is not known any more. */
const NOBODY_KNOWN: Owner = { pid: 0, name: "(not known any more)", uuid: NIL, id: 0 };

/**
 * Remembers what libvirt has released for guests whose process goes on, until that ends or gets the lock
 * again. libvirt releases all locks of a guest that is paused, and a guest that another one wrote behind must
 * not go on with what it has in its caches.
 */
export class ParkedLocks {
  readonly #byLock = new Map<string, Map<OwnerKey, ParkedLock>>();
  readonly #byOwner = new Map<OwnerKey, Set<ParkedLock>>();

  /** Every one. */
  *all(): Generator<ParkedLock> {
    for (const parked of this.#byOwner.values()) yield* parked;
  }

  /** What is parked of an owner. */
  of(key: OwnerKey): Iterable<ParkedLock> {
    return this.#byOwner.get(key) ?? [];
  }

  /** An owner's own parked lock of this name. */
  find(lockspace: string, name: string, owner: Owner): ParkedLock | undefined {
    if (this.#byLock.size === 0) return undefined;
    const found = this.#byLock.get(lockKey(lockspace, name))?.get(ownerKey(owner));
    return found?.owner.uuid === owner.uuid ? found : undefined;
  }

  /**
   * An exclusive lock was released while the process of its owner lives; or an earlier life of the daemon
   * says so.
   */
  park(parked: ParkedLock): void {
    const key = lockKey(parked.lockspace, parked.name);
    const owner = ownerKey(parked.owner);
    this.#remove(key, owner);
    const owners = this.#byLock.get(key);
    if (owners === undefined) this.#byLock.set(key, new Map([[owner, parked]]));
    else owners.set(owner, parked);
    const own = this.#byOwner.get(owner);
    if (own === undefined) this.#byOwner.set(owner, new Set([parked]));
    else own.add(parked);
  }

  /**
   * A lock was granted: to its parked owner, or to somebody who may use the disk behind others.
   *
   * @returns what it changed; undefined when nothing is parked under this name
   */
  granted({ lockspace, name, shared }: Resource, owner: Owner, since: number): Unparked | undefined {
    if (this.#byLock.size === 0) return undefined;
    const key = lockKey(lockspace, name);
    if (!this.#byLock.has(key)) return undefined;
    const taken = this.#remove(key, ownerKey(owner));
    if (shared) return { taken, used: [] };
    const used = [...this.#byLock.get(key)?.values() ?? []].filter((parked) =>
      parked.owner.uuid !== owner.uuid && parked.use === undefined
    );
    for (const parked of used) parked.use = { owner, since };
    return { taken, used };
  }

  /** Whoever used them did not come to write: its guest was not started. */
  unused(used: readonly ParkedLock[]): void {
    for (const parked of used) parked.use = undefined;
  }

  /**
   * Somebody may have had an owner's parked lock, of whom nobody will know who it was.
   *
   * @returns what that has changed
   */
  overtaken(path: string, owner: Owner): readonly ParkedLock[] {
    const unused = [...this.of(ownerKey(owner))].filter((parked) =>
      parked.path === path && parked.use === undefined
    );
    for (const parked of unused) parked.use = { owner: NOBODY_KNOWN, since: 0 };
    return unused;
  }

  /** An owner's process has ended: it resumes nothing. */
  forget(owner: OwnerKey): void {
    for (const { lockspace, name } of [...this.of(owner)]) this.#remove(lockKey(lockspace, name), owner);
  }

  #remove(key: string, owner: OwnerKey): ParkedLock | undefined {
    const owners = this.#byLock.get(key);
    const parked = owners?.get(owner);
    if (owners === undefined || parked === undefined) return undefined;
    owners.delete(owner);
    if (owners.size === 0) this.#byLock.delete(key);
    const own = this.#byOwner.get(owner);
    own?.delete(parked);
    if (own?.size === 0) this.#byOwner.delete(owner);
    return parked;
  }
}

function lockKey(lockspace: string, name: string): string {
  return `${lockspace}\0${name}`;
}
