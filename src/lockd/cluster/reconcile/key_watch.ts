import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { GrantedLocks } from "../locks/granted_locks.ts";
import type { LockTurns } from "../locks/lock_turns.ts";
import type { Orphans } from "../locks/orphans.ts";
import type { PausedMarks } from "../locks/paused_marks.ts";
import type { ClusterSession } from "../session/session.ts";
import type { KeyCheck } from "./key_check.ts";

/**
 * How long etcd is watched at once, in ms. Behind that the keys are counted: etcd goes over all of them for
 * that, so it is not done with each of the session's proofs.
 */
const WATCH_MS = 60_000;
/** So often it is watched anew before the keys are counted, where keys are deleted all the time. */
const WATCHES = 60;
/**
 * Pause behind what was deleted, in ms. Every release of any host deletes keys: etcd is asked once for those
 * of a busy second, and not once for each.
 */
const PAUSE_MS = 1000;
/** Pause when etcd does not answer, or before keys are counted again, in ms. */
const AGAIN_MS = 3000;

/** What watching works with. */
export interface KeyWatchParts {
  readonly session: Pick<ClusterSession, "id" | "whenLive" | "ask" | "awaitDelete">;
  readonly keys: ClusterKeys;
  readonly check: Pick<KeyCheck, "suspect" | "suspectAll">;
  readonly granted: Pick<GrantedLocks, "count">;
  readonly orphans: Pick<Orphans, "size">;
  readonly marks: Pick<PausedMarks, "size">;
  readonly turns: Pick<LockTurns, "rest">;
  readonly loop: Pick<EventLoop, "after">;
}

/** What etcd has was counted while nothing was done. */
interface Counted {
  readonly session: string;
  /** How many more keys etcd has than this host knows of; fewer: below 0. */
  readonly more: number;
}

/**
 * Watches whether keys of this host's are deleted, whoever does it, and counts them now and then in case a
 * watch has missed something. Neither is ever acted upon: what may have gone is looked at itself.
 */
export class KeyWatch {
  readonly #parts: KeyWatchParts;
  /** What was counted and looked at: keys that nobody can read are more for ever. */
  #known: Counted | undefined;
  /** What was counted a moment ago and was not so before. */
  #odd: Counted | undefined;
  /** How often it was watched since the keys were counted. */
  #watches = 0;

  constructor(parts: KeyWatchParts) {
    this.#parts = parts;
  }

  /** Begins, for as long as the loop runs. */
  begin(): void {
    this.#count(Infinity);
  }

  /** Counts, and watches then. @param from the first revision that was not watched; Infinity: none */
  #count(from: number): void {
    const { session, keys, turns } = this.#parts;
    this.#watches = 0;
    session.whenLive(Infinity, () => {
      const { id } = session;
      const { rest } = turns;
      const known = this.#knows;
      const isQuiet = () =>
        rest !== undefined && turns.rest === rest && this.#knows === known && session.id === id;
      const count = { op: "count", prefix: keys.ownList(id) } as const;
      session.ask({ compare: [], success: [count], failure: [] }, (answer) => {
        if (answer.kind !== "transaction") return this.#again(from);
        const { results, revision } = answer.result;
        // Of an etcd that was restored the revisions begin anew.
        const first = Math.min(from, revision + 1);
        const more = (results[0]?.count ?? 0) - known;
        // While something is done the numbers need not agree.
        if (isQuiet() && this.#isOdd({ session: id, more })) return this.#again(first);
        this.#odd = undefined;
        this.#watch(first);
      });
    }, () => {});
  }

  /** How many keys this host knows of. */
  get #knows(): number {
    const { granted, orphans, marks } = this.#parts;
    return granted.count + orphans.size + marks.size;
  }

  /** Whether what was counted has to be counted once more before it means something. */
  #isOdd(counted: Counted): boolean {
    const { session, more } = counted;
    const known = this.#known?.session === session ? this.#known.more : 0;
    if (more === known) return false;
    if (this.#odd?.session !== session || this.#odd.more !== more) {
      this.#odd = counted;
      return true;
    }
    this.#known = counted;
    if (more < known) this.#parts.check.suspectAll();
    return false;
  }

  #watch(from: number): void {
    const { session, keys, check, loop } = this.#parts;
    this.#watches++;
    session.awaitDelete(keys.holdings, from, WATCH_MS, (watched) => {
      switch (watched.kind) {
        case "deleted": {
          const next = watched.until + 1;
          if (!watched.all) check.suspectAll();
          else check.suspect(watched.keys.flatMap((key) => keys.lockOf(session.id, key) ?? []));
          return void loop.after(
            PAUSE_MS,
            () => this.#watches < WATCHES ? this.#watch(next) : this.#count(next),
          );
        }
        case "changed":
          return this.#count(Infinity);
        case "failed":
          return this.#again(from);
      }
    });
  }

  #again(from: number): void {
    this.#parts.loop.after(AGAIN_MS, () => this.#count(from));
  }
}
