import { Rounds } from "../../../base/rounds.ts";
import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Owner } from "../../lockspace/owner.ts";
import type { ProcessMark } from "../../lockspace/owner_watch.ts";
import type { Resource } from "../../lockspace/resource.ts";
import type { GrantedLocks } from "../locks/granted_locks.ts";
import type { LockTurns } from "../locks/lock_turns.ts";
import { isClustersDoubt } from "../session/doubts.ts";
import type { HeldLocks } from "./held_locks.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { ClusterNames } from "../keys/names.ts";
import type { LostGuests } from "./lost_guests.ts";
import { decodeHolder, holderOf } from "../keys/lock_holder.ts";
import { readable } from "../keys/record_fields.ts";
import { encodeRecord } from "../keys/records.ts";
import type { ClusterSession } from "../session/session.ts";
import { type ClusterLock, type Epoch, obstaclesOf } from "../keys/transactions.ts";

/** How often it is looked whether a lock can be had again, in ms: a person has to act first. */
const LOOK_MS = 10_000;
/** So many at once, each in turn: there are few, and nobody waits. */
const AT_ONCE = 50;

/** What having lost locks again works with. */
export interface LostLocksParts {
  readonly session: Pick<ClusterSession, "id" | "state" | "doubt" | "regained">;
  readonly keys: ClusterKeys;
  readonly names: Pick<ClusterNames, "of">;
  readonly granted: Pick<GrantedLocks, "of" | "adopt" | "holds">;
  readonly heldLocks: Pick<HeldLocks, "put">;
  readonly turns: Pick<LockTurns, "busy" | "inTurn" | "give">;
  /** Guests that run with them. */
  readonly guests: Pick<LostGuests, "taken">;
  readonly resources: () => Iterable<Resource>;
  /** An owner's process as the daemon sees it. */
  readonly markOf: (owner: Owner) => ProcessMark;
  readonly nonce: () => string;
  readonly loop: Pick<EventLoop, "after">;
  readonly observer: LostLocksObserver;
}

/** Told of locks that are had again. */
export interface LostLocksObserver {
  clusterRegained(resource: Resource): void;
}

/**
 * Locks of guests that run, which another host has got: as soon as nobody has them in etcd any more they are
 * had again there, so that no third one gets the disk. The guest's mark stays: it has run beside another one,
 * and is not resumed once it is paused.
 */
export class LostLocks {
  readonly #parts: LostLocksParts;
  /** What was put there perhaps, by the lock's key. */
  readonly #tried = new Map<string, ClusterLock>();
  readonly #rounds = new Rounds(AT_ONCE);

  constructor(parts: LostLocksParts) {
    this.#parts = parts;
  }

  /** Begins to look, for as long as the loop runs. */
  begin(): void {
    this.#parts.loop.after(LOOK_MS, () => {
      this.begin();
      this.#look();
    });
  }

  #look(): void {
    const { session, turns, keys, names, resources } = this.#parts;
    const { state } = session;
    if (state.kind !== "live") return;
    const { epoch } = state;
    const lost = new Map([...resources()].flatMap((resource): [string, Resource][] => {
      const name = this.#isLost(resource) ? names.of(resource.path) : undefined;
      return name === undefined ? [] : [[keys.lock(name, resource.shared, session.id), resource]];
    }));
    for (const [key, resource] of this.#rounds.next([...lost])) {
      if (!turns.busy(key)) turns.inTurn(key, (end) => this.#have(epoch, key, resource, end));
    }
    for (const [key, lock] of this.#tried) {
      if (lost.has(key)) continue;
      // Its guest has it by now, where etcd was found to have it when this host put in what it has.
      if (this.#parts.granted.holds(key)) this.#tried.delete(key);
      // Its guest has ended meanwhile.
      else this.#give(lock);
    }
  }

  /** Whether a lock is one that another host has or had, and whose guest has it here. */
  #isLost(resource: Resource): boolean {
    const { path, state, regrant } = resource;
    return isClustersDoubt(state) && regrant !== "parked" && regrant !== "leaving" &&
      this.#parts.granted.of(path) === undefined;
  }

  #have(epoch: Epoch, key: string, resource: Resource, end: () => void): void {
    const { session, keys, names, heldLocks, markOf, nonce } = this.#parts;
    const name = names.of(resource.path);
    const [holding] = resource.holdings;
    if (name === undefined || holding === undefined || !this.#isThere(resource)) return end();
    const { owner, since } = holding;
    const tried = this.#tried.get(key);
    const before = tried === undefined ? undefined : readable(() => decodeHolder(tried));
    const own = keys.own(session.id, key);
    const holder = before?.session === session.id
      ? before
      : { session: session.id, attempt: nonce(), ...holderOf(owner, markOf(owner), since) };
    const lock = { key, own, value: encodeRecord(holder) };
    const obstacles = obstaclesOf(keys, name, resource.shared);
    heldLocks.put(epoch, { key, own, holder, obstacles }, (outcome) => {
      switch (outcome.kind) {
        case "put":
          this.#had(resource, outcome.lock);
          break;
        case "others":
          // What was tried has been done after all.
          if (outcome.by.session === session.id && outcome.by.attempt === holder.attempt) {
            this.#had(resource, lock);
          } else {
            this.#tried.delete(key);
            const others = outcome.by.session !== session.id;
            if (others && this.#isThere(resource) && this.#isLost(resource)) {
              this.#parts.guests.taken(resource);
            }
          }
          break;
        case "failed":
          if (!outcome.unknown) break;
          // What may still come is made void, and then it is looked up.
          this.#tried.set(key, lock);
          session.doubt(outcome.reason);
      }
      end();
    });
  }

  /** etcd has it. A guest that has ended meanwhile, or whose lock is being released, does not want it. */
  #had(resource: Resource, lock: ClusterLock): void {
    const { session, granted, observer } = this.#parts;
    this.#tried.delete(lock.key);
    if (!this.#isThere(resource) || !this.#isLost(resource)) return this.#give(lock);
    granted.adopt(resource.path, lock);
    session.regained(resource);
    observer.clusterRegained(resource);
  }

  #isThere(resource: Resource): boolean {
    return [...this.#parts.resources()].includes(resource);
  }

  #give(lock: ClusterLock): void {
    this.#tried.delete(lock.key);
    this.#parts.turns.give(lock, () => {});
  }
}
