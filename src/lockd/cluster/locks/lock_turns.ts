import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { HolderFacts } from "../keys/lock_holder.ts";
import type { ClusterName } from "../keys/names.ts";
import { encodeRecord } from "../keys/records.ts";
import { type ClusterLock, whether } from "../keys/transactions.ts";
import type { ClusterSession } from "../session/session.ts";
import { KeyQueues } from "./key_queues.ts";
import { LockReturns, type LockReturnsParts } from "./lock_returns.ts";
import type { PausedMarks } from "./paused_marks.ts";

/** What the turns work with. */
export interface LockTurnsParts {
  readonly session: Pick<ClusterSession, "id" | "whenLive" | "ask" | "doubt" | "moved">;
  readonly keys: ClusterKeys;
  /** Another text each time. */
  readonly nonce: () => string;
  readonly loop: Pick<EventLoop, "after">;
  readonly marks: Pick<PausedMarks, "add">;
  readonly tries: LockReturnsParts["tries"];
}

/** What is done to one key of this host's, one after the other; most of it is giving locks back. */
export class LockTurns {
  readonly #parts: LockTurnsParts;
  readonly #returns: LockReturns;
  readonly #queues = new KeyQueues();
  /** Releases that are under way or wait for etcd. */
  #releasing = 0;

  constructor(parts: LockTurnsParts) {
    this.#parts = parts;
    this.#returns = new LockReturns(parts);
  }

  /** How many locks are being given back. */
  get releasing(): number {
    return this.#releasing;
  }

  /** Whether something is being done to a key. */
  busy(key: string): boolean {
    return this.#queues.busy(key);
  }

  /** See {@link KeyQueues.rest}. */
  get rest(): number | undefined {
    return this.#queues.rest;
  }

  /** Does something to a key when all is done that was begun before; the task calls `end` when it is over. */
  inTurn(key: string, task: (end: () => void) => void): void {
    this.#queues.add(key, task);
  }

  /**
   * Gives a lock back, however long that takes: {@link LockReturns.give}.
   *
   * @param mark what is put in its place, for a guest that is paused
   * @param done gets why etcd may keep it for ever: the session is lost; else undefined
   */
  give(lock: ClusterLock, done: (failure: string | undefined) => void, mark?: ClusterLock): void {
    this.#releasing++;
    this.#queues.add(lock.key, (end) => {
      this.#returns.give(lock, mark, (failure, put) => {
        // Perhaps it was put there although the answer was lost.
        if (put !== undefined) this.#parts.marks.add(put);
        this.#releasing--;
        // Before the next turn begins: it has to know that nobody has the lock any more.
        done(failure);
        end();
      });
    });
  }

  /**
   * Looks whether etcd still has a lock.
   *
   * @param gone called when etcd has said that it has it no more, or has another record in its place
   */
  whenGone({ key, value }: ClusterLock, gone: () => void): void {
    this.#parts.session.ask(whether([{ kind: "value", key, value }], key), (answer) => {
      if (answer.kind === "transaction" && !answer.result.succeeded) gone();
    });
  }

  /** The mark of a guest that is paused while its lock is given back. */
  markOf(name: ClusterName, holder: HolderFacts): ClusterLock {
    const { session, keys, nonce } = this.#parts;
    const key = keys.paused(name, session.id, holder);
    const value = encodeRecord({ session: session.id, attempt: nonce(), ...holder });
    return { key, own: keys.own(session.id, key), value };
  }
}
