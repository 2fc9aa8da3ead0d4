import { Rounds } from "../../../base/rounds.ts";
import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { KeyOperation, KeyValue, OperationResult } from "../../../etcd/wire/transaction.ts";
import type { Resource } from "../../lockspace/resource.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { decodeHolder } from "../keys/lock_holder.ts";
import { decodeMeta } from "../keys/meta_record.ts";
import type { ClusterNames } from "../keys/names.ts";
import { readable } from "../keys/record_fields.ts";
import { isSameStart } from "../keys/session_id.ts";
import { obstacles, obstaclesOf } from "../keys/transactions.ts";
import { HELD_BY_ANOTHER, isClustersDoubt, LOST_WHEN_GIVEN_UP } from "../session/doubts.ts";
import type { ClusterSession } from "../session/session.ts";
import type { DoubtObserver, LostGuests } from "./lost_guests.ts";

/** How often it is looked who has such locks, in ms. */
const LOOK_MS = 3000;
/** So many with one question, each in turn: of each lock two keys are read at most. */
const AT_ONCE = 50;

/** What looking after them works with. */
export interface GivenUpLocksParts {
  readonly session: Pick<ClusterSession, "id" | "state" | "ask">;
  readonly keys: ClusterKeys;
  readonly names: Pick<ClusterNames, "of">;
  /** Every lock of this host. */
  readonly resources: () => Iterable<Resource>;
  /** Guests that run with them. */
  readonly guests: Pick<LostGuests, "taken">;
  readonly loop: Pick<EventLoop, "after">;
  readonly observer: DoubtObserver;
}

/** A lock, and where its reads begin among those of a question. */
interface Looked {
  readonly resource: Resource;
  readonly from: number;
  readonly to: number;
}

/**
 * Locks of guests that run, which were given up by somebody's word: their host was made to leave, or was said
 * to be off. It changes nothing in etcd any more, and looks there who gets the disks of its guests.
 *
 * Who has got such a lock since has got it from this host. That is what the revisions tell: of the lock, of
 * the word, and at which the cluster was opened last, for what was there before may be what a backup had.
 */
export class GivenUpLocks {
  readonly #parts: GivenUpLocksParts;
  /** Those of which it was told in this life that another host has them. */
  readonly #told = new WeakSet<Resource>();
  readonly #rounds = new Rounds(AT_ONCE);

  constructor(parts: GivenUpLocksParts) {
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
    const { session, keys, names } = this.#parts;
    const { state } = session;
    if (state.kind !== "lost" || state.givenUp === undefined) return;
    const { at } = state.givenUp;
    const turn = this.#rounds.next([...this.#all()]);
    if (turn.length === 0) return;
    const success: KeyOperation[] = [{ op: "get", key: keys.meta }];
    const looked = turn.flatMap((resource): Looked[] => {
      const name = names.of(resource.path);
      if (name === undefined) return [];
      const first = success.length;
      success.push(...obstacles(obstaclesOf(keys, name, resource.shared)).success);
      return [{ resource, from: first, to: success.length }];
    });
    session.ask({ compare: [], success, failure: [] }, (answer) => {
      if (answer.kind === "transaction") this.#judge(looked, answer.result.results, at);
    });
  }

  #judge(looked: readonly Looked[], results: readonly OperationResult[], at: number): void {
    const meta = results[0]?.found[0];
    const agreed = meta === undefined ? undefined : readable(() => decodeMeta(meta));
    if (meta === undefined || agreed?.phase !== "open") return;
    const since = Math.max(at, meta.changedAt);
    const there = new Set(this.#all());
    for (const { resource, from, to } of looked) {
      const found = results.slice(from, to).flatMap((each) => each.found);
      if (there.has(resource) && found.some((entry) => this.#isTaken(entry, since))) this.#lost(resource);
    }
  }

  /** Whether an entry is a lock that another host has got since. */
  #isTaken(entry: KeyValue, since: number): boolean {
    if (entry.changedAt <= since) return false;
    const holder = readable(() => decodeHolder(entry));
    return holder !== undefined && !isSameStart(holder.session, this.#parts.session.id);
  }

  #lost(resource: Resource): void {
    const { guests, observer } = this.#parts;
    if (this.#told.has(resource)) return guests.taken(resource);
    this.#told.add(resource);
    // Whoever is told deals with its guests, too.
    observer.clusterDoubtful(resource, LOST_WHEN_GIVEN_UP);
  }

  /** Those that this host had, but for what it had beside another one already. */
  *#all(): Generator<Resource> {
    for (const resource of this.#parts.resources()) {
      const { state, regrant } = resource;
      if (!isClustersDoubt(state) || regrant === "parked" || regrant === "leaving") continue;
      if (state.kind === "doubtful" && state.reason !== HELD_BY_ANOTHER) yield resource;
    }
  }
}
