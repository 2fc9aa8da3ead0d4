import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { KeyValue, Transaction } from "../../../etcd/wire/transaction.ts";
import { type FencedSession, forgetKeys, FREED_AT_ONCE, sweep, sweepEntry } from "../keys/fencing.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { listAll } from "../session/list_all.ts";
import type { ClusterSession } from "../session/session.ts";
import type { ClusterLock } from "../keys/transactions.ts";

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
      const isMark = ({ key }: KeyValue) => keys.isPaused(keys.ofOwn(id, key));
      const locks = own.filter((entry) => !isMark(entry)).map((entry): ClusterLock => ({
        key: keys.ofOwn(id, entry.key),
        own: entry.key,
        value: entry.value,
      }));
      const left = own.filter(isMark).flatMap(({ key }) => [keys.ofOwn(id, key), key]);
      this.#free(fenced, locks, 0, again, () => this.#forget(fenced, [...left, keys.silence(id)], 0, again));
    });
  }

  #free(
    fenced: FencedSession,
    locks: readonly ClusterLock[],
    at: number,
    again: () => void,
    done: () => void,
  ): void {
    const next = locks.slice(at, at + FREED_AT_ONCE);
    if (next.length === 0) return done();
    this.#ask(sweep(fenced, next), again, (made) => {
      if (made) return this.#free(fenced, locks, at + next.length, again, done);
      // Somebody has taken one of them meanwhile.
      this.#freeEach(fenced, next, 0, again, () => this.#free(fenced, locks, at + next.length, again, done));
    });
  }

  #freeEach(
    fenced: FencedSession,
    locks: readonly ClusterLock[],
    at: number,
    again: () => void,
    done: () => void,
  ): void {
    const lock = locks[at];
    if (lock === undefined) return done();
    const next = () => this.#freeEach(fenced, locks, at + 1, again, done);
    this.#ask(
      sweep(fenced, [lock]),
      again,
      (made) => made ? next() : this.#ask(sweepEntry(fenced, lock), again, next),
    );
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
