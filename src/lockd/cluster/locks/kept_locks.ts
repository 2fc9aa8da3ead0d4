import type { OtherHosts } from "../../lockspace/other_hosts.ts";
import type { Owner } from "../../lockspace/owner.ts";
import type { ProcessMark } from "../../lockspace/owner_watch.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { decodeHolder, holderOf } from "../keys/lock_holder.ts";
import type { ClusterName, ClusterNames } from "../keys/names.ts";
import { readable } from "../keys/record_fields.ts";
import type { ClusterLock } from "../keys/transactions.ts";
import type { GrantedLocks } from "./granted_locks.ts";
import type { LockTurns } from "./lock_turns.ts";
import type { UngrantedTries } from "./ungranted_tries.ts";

const NOT_GRANTED = "the cluster does not grant it to this host";
/** Why a lock is not granted again yet of which paused guests may have been told. */
const NOT_KNOWN = "it is not known yet what etcd has of this host";

/** What keeping locks for paused guests works with. */
export interface KeptLocksParts {
  readonly granted: GrantedLocks;
  readonly names: Pick<ClusterNames, "of" | "forget">;
  readonly turns: Pick<LockTurns, "give" | "markOf">;
  readonly tries: Pick<UngrantedTries, "changedBy" | "put" | "anyOf">;
  readonly keys: Pick<ClusterKeys, "pausedBelow">;
  /** An owner's process as the daemon sees it. */
  readonly markOf: (owner: Owner) => ProcessMark;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Calls `go` when all that was recorded until now is in the journal. */
  readonly recorded: (go: () => void) => void;
  /**
   * A guest of another host asks for a lock of this one: see LockTable.askedFor().
   *
   * @returns whether it is on its way out
   */
  readonly askedFor: (path: string, uuid: string) => boolean;
  /**
   * Calls `ready` when it is known what etcd has of this host: with why somebody who waits for that is not
   * kept waiting any longer, or undefined.
   */
  readonly whenKnown: (ready: (reason: string | undefined) => void) => void;
  /** Whether etcd has a mark of a paused guest. */
  readonly isMarked: (key: string) => boolean;
  /** Whether etcd can be asked now. */
  readonly live: () => boolean;
  /** Why this host is no member any more, for good; undefined when it is not so. */
  readonly lost: () => string | undefined;
}

/** Locks of the cluster that paused guests may have again, as long as no other host asks for them. */
export class KeptLocks implements OtherHosts {
  readonly #parts: KeptLocksParts;
  #known = false;
  /** Keys of locks for which another host waits, because their guest is the domain that it starts. */
  pending: ReadonlySet<string> = new Set();

  constructor(parts: KeptLocksParts) {
    this.#parts = parts;
  }

  /** It is known what etcd has of this host. */
  known(): void {
    this.#known = true;
  }

  covers(path: string): boolean {
    return this.#parts.names.of(path) !== undefined;
  }

  keeps(path: string): boolean {
    const { granted, names, tries, lost } = this.#parts;
    const name = names.of(path);
    if (name === undefined || lost() !== undefined) return false;
    const lock = granted.of(path);
    // It has not run, and would run without anybody being told.
    if (lock !== undefined && tries.changedBy(lock.value).length > 0) return false;
    // What its guest had to do with others is over: it has run.
    granted.used(path);
    if (lock === undefined) return !this.#known;
    return !this.pending.has(lock.key) && !this.#ranBeside(name, lock);
  }

  /** Whether a lock's guest has lost it for a while, in which another one may have written. */
  #ranBeside(name: ClusterName, lock: ClusterLock): boolean {
    const { turns, isMarked } = this.#parts;
    const holder = readable(() => decodeHolder(lock));
    return holder !== undefined && isMarked(turns.markOf(name, holder).key);
  }

  gives(): boolean {
    return this.#parts.live();
  }

  withheld(path: string): string | undefined {
    const { granted, lost } = this.#parts;
    const reason = lost();
    if (reason !== undefined) return reason;
    return this.#known && granted.of(path) === undefined ? NOT_GRANTED : undefined;
  }

  unused(path: string): void {
    const { granted, tries } = this.#parts;
    const lock = granted.of(path);
    const changed = granted.used(path);
    // Who was told hears no other thing before the lock is given back: it may be used all the same.
    if (lock !== undefined && changed.length > 0) tries.put({ value: lock.value, changed });
  }

  joins(path: string, done: (reason: string | undefined) => void): void {
    const { granted, names, whenKnown } = this.#parts;
    if (names.of(path) === undefined) return done(undefined);
    const reason = this.withheld(path);
    if (reason !== undefined || granted.of(path) !== undefined) return done(reason);
    // What is taken over, or was found in a journal, is not in etcd yet, or no more.
    whenKnown((unknown) => {
      if (unknown !== undefined) return done(unknown);
      done(this.withheld(path) ?? (granted.of(path) === undefined ? NOT_GRANTED : undefined));
    });
  }

  regrants(path: string): string | undefined {
    const { granted, names, keys, tries } = this.#parts;
    const name = names.of(path);
    if (name === undefined) return undefined;
    const reason = this.withheld(path);
    if (reason !== undefined) return reason;
    const lock = granted.of(path);
    // Which record its lock has, and so what counts from now on, is known when etcd was asked.
    if (lock === undefined) return tries.anyOf(keys.pausedBelow(name)) ? NOT_KNOWN : undefined;
    granted.took(path, lock, tries.changedBy(lock.value));
    return undefined;
  }

  gone(path: string, paused: Owner | undefined): void {
    const { granted, names, turns, recorded } = this.#parts;
    const lock = granted.of(path);
    const name = names.of(path);
    // At once: whoever asks next has a lock of its own there, which waits in etcd until this one has gone.
    granted.forget(path);
    names.forget(path);
    if (lock === undefined || name === undefined) return;
    const mark = this.markFor(name, paused);
    recorded(() => turns.give(lock, () => {}, mark));
  }

  /** What is put in the place of a lock of a guest that is paused; undefined when none is. */
  markFor(name: ClusterName, paused: Owner | undefined): ClusterLock | undefined {
    const { turns, markOf, now } = this.#parts;
    return paused === undefined ? undefined : turns.markOf(name, holderOf(paused, markOf(paused), now()));
  }

  /** A guest of another host asks for a lock, by its key. @returns whether it is on its way out */
  asked(key: string, uuid: string): boolean {
    const path = this.#parts.granted.pathOf(key);
    return path !== undefined && this.#parts.askedFor(path, uuid);
  }
}
