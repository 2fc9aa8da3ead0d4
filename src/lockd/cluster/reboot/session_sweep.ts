import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Transaction } from "../../../etcd/wire/transaction.ts";
import { type FencedSession, forgetKeys, FREED_AT_ONCE, sweep, sweepEntry } from "../keys/fencing.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { listAll } from "../session/list_all.ts";
import type { ClusterSession } from "../session/session.ts";
import { type ClusterLock, listedLock } from "../keys/transactions.ts";

/** Pause before it is gone on with when etcd has not answered, in ms. */
const AGAIN_MS = 5000;

/** What taking away needs. */
export interface SessionSweepParts {
  readonly session: Pick<ClusterSession, "ask">;
  readonly keys: Pick<ClusterKeys, "session" | "ownList" | "ofOwn" | "isPaused" | "silence">;
  readonly loop: Pick<EventLoop, "after">;
}

/**
 * Takes away what a session of this host has that was fenced, behind everything else: whoever asks for one of
 * its locks gets it before, too. It goes on until all is gone, also in the next life of the daemon.
 */
export class SessionSweep {
  readonly #parts: SessionSweepParts;
  readonly #under = new Set<string>();

  constructor(parts: SessionSweepParts) {
    this.#parts = parts;
  }

  /** @param revision at which the session was fenced */
  sweep(id: string, revision: number): void {
    if (this.#under.has(id)) return;
    this.#under.add(id);
    this.#begin(id, { key: this.#parts.keys.session(id), revision });
  }

  #begin(id: string, fenced: FencedSession): void {
    const { session, keys, loop } = this.#parts;
    const again = () => void loop.after(AGAIN_MS, () => this.#begin(id, fenced));
    listAll(session, keys.ownList(id), (own) => {
      if (typeof own === "string") return again();
      const all = own.map((entry) => listedLock(keys, id, entry));
      const locks = all.filter(({ key }) => !keys.isPaused(key));
      const left = all.flatMap(({ key, own }) => keys.isPaused(key) ? [key, own] : []);
      this.#free(fenced, locks, FREED_AT_ONCE, again, () => {
        this.#forget(fenced, [...left, keys.silence(id)], 0, again);
      });
    });
  }

  /** @param atOnce how many are freed with one transaction */
  #free(
    fenced: FencedSession,
    locks: readonly ClusterLock[],
    atOnce: number,
    again: () => void,
    done: () => void,
  ): void {
    const next = locks.slice(0, atOnce);
    const [first, second] = next;
    if (first === undefined) return done();
    const others = () => this.#free(fenced, locks.slice(atOnce), atOnce, again, done);
    this.#ask(sweep(fenced, next), again, (made) => {
      if (made) return others();
      // Somebody has taken one of them meanwhile.
      if (second !== undefined) return this.#free(fenced, next, 1, again, others);
      this.#ask(sweepEntry(fenced, first), again, others);
    });
  }

  #forget(fenced: FencedSession, keys: readonly string[], at: number, again: () => void): void {
    const next = keys.slice(at, at + FREED_AT_ONCE);
    if (next.length === 0) return;
    this.#ask(forgetKeys(fenced, next), again, () => this.#forget(fenced, keys, at + next.length, again));
  }

  /** @param again called in the place of `done` when it is not known what came of it */
  #ask(transaction: Transaction, again: () => void, done: (made: boolean) => void): void {
    this.#parts.session.ask(transaction, (answer) => {
      if (answer.kind === "transaction") done(answer.result.succeeded);
      else again();
    });
  }
}
