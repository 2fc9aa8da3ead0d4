import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { isHeldBy, type Owner } from "../../lockspace/owner.ts";
import { isNobodyKnown } from "../../lockspace/parked_locks.ts";
import type { ProcessMark } from "../../lockspace/owner_watch.ts";
import type { Resource } from "../../lockspace/resource.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { ClusterName, ClusterNames } from "../keys/names.ts";
import { asUsed } from "../keys/marks.ts";
import { holderOf } from "../keys/lock_holder.ts";
import { isClustersDoubt } from "../session/doubts.ts";
import { encodeRecord } from "../keys/records.ts";
import { type ClusterLock, type Obstacles, obstaclesOf } from "../keys/transactions.ts";

/** A guest that was paused, and the path of a lock that it had. */
export interface PausedGuest {
  readonly path: string;
  readonly owner: Owner;
  /** Who has had it since, as far as this host knows. */
  readonly use?: { readonly owner: Owner } | undefined;
}

/** A mark of a guest that had none, and what tells that nobody has its lock. */
export interface FreshMark {
  readonly mark: ClusterLock;
  readonly obstacles: Obstacles;
}

/** What finding lost marks needs. */
export interface LostMarksParts {
  readonly session: { readonly id: string };
  readonly keys: ClusterKeys;
  readonly names: Pick<ClusterNames, "of">;
  /** The name of a lock that a guest had which is paused, whose path may not be known any more. */
  readonly nameOfPaused: (path: string) => ClusterName | undefined;
  readonly resources: () => Iterable<Resource>;
  /** Guests that are paused, by the locks that libvirt has released for them: also those that are kept. */
  readonly paused: () => Iterable<PausedGuest>;
  /** Releases a lock with which no guest has gone on since it was paused. @returns whether it is one */
  readonly partWith: (path: string) => boolean;
  readonly markOf: (owner: Owner) => ProcessMark;
  /** Whether a process lives; also where that cannot be told. */
  readonly lives: (pid: number, start: number) => boolean;
  readonly nonce: () => string;
}

/**
 * Paused guests whose lock others may have had, of which nobody knows whether they had it: they are marked as
 * if somebody had.
 */
export class LostMarks {
  readonly #parts: LostMarksParts;

  constructor(parts: LostMarksParts) {
    this.#parts = parts;
  }

  /**
   * Releases locks that were kept for their guests, or with which these have not gone on, and that are not in
   * etcd, although that has lost nothing: somebody has taken them away there, as from a host that was fenced,
   * and others may have had them.
   *
   * @param listed what etcd has of the session, by the key of the lock
   * @returns the guests
   */
  parted(listed: ReadonlyMap<string, KeyValue>): PausedGuest[] {
    const { keys, names, resources, partWith, session } = this.#parts;
    return [...resources()].flatMap(({ path, shared, regrant, holdings: [holding] }) => {
      const name = names.of(path);
      if (shared || name === undefined || holding === undefined) return [];
      if (listed.has(keys.lock(name, shared, session.id))) return [];
      const { owner } = holding;
      // Nobody is asked for it: it is not there.
      const parted = partWith(path);
      // It was parted with before, and etcd has failed behind that.
      const before = regrant === "leaving" && this.#lives(owner) && this.#isUnmarked(path, owner, listed);
      return parted || before ? [{ path, owner }] : [];
    });
  }

  /** Paused guests that have their lock no more: of their marks some may have been lost or taken away. */
  leftBehind(): PausedGuest[] {
    return leftBehind(this.#parts.resources(), this.#parts.paused());
  }

  /**
   * Those of them whose marks went when this host was made to leave, and those that were paused before it was
   * a member, when another one had the lock here since.
   *
   * @param listed what etcd has of the session, by the key of the lock
   */
  overtaken(listed: ReadonlyMap<string, KeyValue>): PausedGuest[] {
    return this.leftBehind().filter(({ path, owner, use }) =>
      use !== undefined && (isNobodyKnown(use.owner) || this.#isUnmarked(path, owner, listed))
    );
  }

  /**
   * Those that were paused before this host was a member, as far as it knows nobody has had their lock since:
   * from now on others are to say so.
   *
   * @param listed what etcd has of the session, by the key of the lock
   */
  unmarked(listed: ReadonlyMap<string, KeyValue>): PausedGuest[] {
    return this.leftBehind().filter(({ path, owner, use }) =>
      use === undefined && this.#isUnmarked(path, owner, listed)
    );
  }

  /** Whether an owner's process is known to live: only of such a one a mark is put when its lock goes. */
  #lives(owner: Owner): boolean {
    const { pid, start } = this.#parts.markOf(owner);
    return start !== 0 && this.#parts.lives(pid, start);
  }

  #isUnmarked(path: string, owner: Owner, listed: ReadonlyMap<string, KeyValue>): boolean {
    const { keys, nameOfPaused, markOf, session } = this.#parts;
    const name = nameOfPaused(path);
    if (name === undefined) return false;
    const mark = keys.paused(name, session.id, holderOf(owner, markOf(owner), 0));
    // Where etcd has the lock itself, whose guest it is the record tells.
    return !listed.has(mark) && !listed.has(keys.lock(name, false, session.id));
  }

  /** Marks that say nothing, of guests whose lock nobody had. */
  fresh(guests: readonly PausedGuest[]): FreshMark[] {
    const { keys, nameOfPaused } = this.#parts;
    return guests.flatMap(({ path, owner }) => {
      const name = nameOfPaused(path);
      if (name === undefined) return [];
      return [{ mark: this.#markOf(name, owner), obstacles: obstaclesOf(keys, name, false) }];
    });
  }

  /** Marks that say that somebody had the lock, by their keys. */
  of(guests: readonly PausedGuest[]): Map<string, ClusterLock> {
    const { nameOfPaused } = this.#parts;
    return new Map(guests.flatMap(({ path, owner }) => {
      const name = nameOfPaused(path);
      if (name === undefined) return [];
      const mark = this.#markOf(name, owner);
      return [[mark.key, asUsed(mark)]];
    }));
  }

  #markOf(name: ClusterName, owner: Owner): ClusterLock {
    const { keys, markOf, nonce, session } = this.#parts;
    const holder = holderOf(owner, markOf(owner), 0);
    const key = keys.paused(name, session.id, holder);
    const value = encodeRecord({ session: session.id, attempt: nonce(), ...holder });
    return { key, own: keys.own(session.id, key), value };
  }
}

/** Those of the paused guests that have not what was released for them: others have got it since. */
export function leftBehind(resources: Iterable<Resource>, paused: Iterable<PausedGuest>): PausedGuest[] {
  const held = [...resources];
  return [...paused].filter(({ path, owner }) =>
    !held.some((each) => each.path === path && each.holdings.some((one) => isHeldBy(one.owner, owner)))
  );
}

/** Whether what this host has tells that it was a member before, of a cluster that it was made to leave. */
export function hasLeft(resources: Iterable<Resource>, paused: Iterable<PausedGuest>): boolean {
  return [...paused].some(({ use }) => use !== undefined && isNobodyKnown(use.owner)) ||
    [...resources].some(({ state }) => isClustersDoubt(state));
}
