import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Answer } from "../../etcd/wire/link_messages.ts";
import type { KeyValue, TransactionResult } from "../../etcd/wire/transaction.ts";
import type { ForeignHolder } from "../lockspace/refusal.ts";
import { reasonOf } from "./etcd.ts";
import type { ClusterKeys } from "./keys.ts";
import type { ClusterName } from "./names.ts";
import {
  decodeHolder,
  decodeSession,
  encodeRecord,
  type HolderFacts,
  type LockHolder,
  RecordError,
} from "./records.ts";
import type { ClusterSession } from "./session.ts";
import {
  acquire,
  type ClusterLock,
  type Epoch,
  EPOCH_READS,
  forget,
  obstaclesOf,
  read,
  release,
  replace,
} from "./transactions.ts";

/** What came of an ask for a lock. */
export type Taken =
  | { readonly kind: "taken"; readonly lock: ClusterLock }
  | { readonly kind: "held"; readonly by: ForeignHolder }
  /** Nobody is known to hold it, but it could not be had. */
  | { readonly kind: "failed"; readonly reason: string };

/** What is asked for. */
export interface Wanted {
  readonly name: ClusterName;
  readonly shared: boolean;
  readonly holder: HolderFacts;
  /** Until when an answer is waited for, by the monotonic clock. */
  readonly until: number;
}

type SessionLike = Pick<ClusterSession, "id" | "whenLive" | "ask" | "doubt" | "moved">;

/** What the locks work with. */
export interface ClusterLocksParts {
  readonly session: SessionLike;
  readonly keys: ClusterKeys;
  /** Another text each time. */
  readonly nonce: () => string;
  readonly loop: Pick<EventLoop, "after">;
  /** Whether a process of this host lives, of which a lock's record tells. */
  readonly lives: (pid: number, start: number) => boolean;
  /** This host's name. */
  readonly host: string;
}

/** Pause before a release that etcd has refused is tried again, in ms. */
const AGAIN_MS = 1000;

/**
 * This host's locks in etcd. What it answers is certain: a lock is taken when etcd has said so, and one that
 * could not be had is not in etcd, or goes from there as soon as that is possible.
 *
 * What is done to one key is done one after the other.
 */
export class ClusterLocks {
  readonly #parts: ClusterLocksParts;
  /** What is still to be done to a key, the first of it under way. */
  readonly #queues = new Map<string, (() => void)[]>();
  /** Releases that are under way or wait for etcd. */
  #releasing = 0;

  constructor(parts: ClusterLocksParts) {
    this.#parts = parts;
  }

  /** How many locks are being given back. */
  get releasing(): number {
    return this.#releasing;
  }

  /** Whether something is being done to a key. */
  busy(key: string): boolean {
    return this.#queues.has(key);
  }

  /** Takes a lock. */
  take(wanted: Wanted, done: (taken: Taken) => void): void {
    const { keys, session } = this.#parts;
    const key = keys.lock(wanted.name, wanted.shared, session.id);
    this.#next(key, (end) => {
      this.#take(wanted, key, (taken) => {
        end();
        done(taken);
      });
    });
  }

  /**
   * Gives a lock back, however long that takes.
   *
   * @param done gets why etcd may keep it for ever: the session is lost; else undefined
   */
  give(lock: ClusterLock, done: (failure: string | undefined) => void): void {
    this.#releasing++;
    this.#next(lock.key, (end) => {
      this.#give(lock, (failure) => {
        this.#releasing--;
        end();
        done(failure);
      });
    });
  }

  #next(key: string, task: (end: () => void) => void): void {
    const queue = this.#queues.get(key);
    const run = () =>
      task(() => {
        const tasks = this.#queues.get(key);
        tasks?.shift();
        const following = tasks?.[0];
        if (following === undefined) this.#queues.delete(key);
        else following();
      });
    if (queue !== undefined) {
      queue.push(run);
      return;
    }
    this.#queues.set(key, [run]);
    run();
  }

  #take(wanted: Wanted, key: string, done: (taken: Taken) => void): void {
    const { session, keys, nonce } = this.#parts;
    const failed = (reason: string) => done({ kind: "failed", reason });
    session.whenLive(wanted.until, (epoch) => {
      const { name, shared, holder } = wanted;
      const value = encodeRecord({ session: session.id, attempt: nonce(), ...holder });
      const lock = { key, own: keys.own(session.id, key), value };
      session.ask(acquire(epoch, lock, obstaclesOf(keys, name, shared)), (answer) => {
        this.#answered(answer, lock, wanted, done, (result) => {
          if (session.moved(epoch, result.results)) return this.#take(wanted, key, done);
          this.#refused(epoch, lock, wanted, result, done);
        });
      });
    }, failed);
  }

  /** @param otherwise called with a transaction that did not succeed */
  #answered(
    answer: Answer,
    lock: ClusterLock,
    wanted: Wanted,
    done: (taken: Taken) => void,
    otherwise: (result: TransactionResult) => void,
  ): void {
    switch (answer.kind) {
      case "transaction":
        if (answer.result.succeeded) return done({ kind: "taken", lock });
        return otherwise(answer.result);
      case "refused":
        return done({ kind: "failed", reason: answer.reason });
      case "lease":
      case "unknown": {
        const reason = reasonOf(answer);
        this.#parts.session.doubt(reason);
        return this.#unknown(lock, wanted, reason, done);
      }
    }
  }

  /** Whether etcd has the lock is not known. As soon as it cannot come any more, it is looked up. */
  #unknown(lock: ClusterLock, wanted: Wanted, reason: string, done: (taken: Taken) => void): void {
    const { session } = this.#parts;
    const giveUp = () => {
      // Behind the answer: whoever asks for it next has to wait until it has gone.
      this.give(lock, () => {});
      done({ kind: "failed", reason });
    };
    session.whenLive(wanted.until, () => {
      session.ask(read(lock.key), (answer) => {
        if (answer.kind !== "transaction") {
          session.doubt(reasonOf(answer));
          return this.#unknown(lock, wanted, reason, done);
        }
        const [found] = foundIn(answer);
        if (found?.value === lock.value) return done({ kind: "taken", lock });
        this.#take(wanted, lock.key, done);
      });
    }, giveUp);
  }

  /** The lock is somebody's. */
  #refused(
    epoch: Epoch,
    lock: ClusterLock,
    wanted: Wanted,
    { results }: TransactionResult,
    done: (taken: Taken) => void,
  ): void {
    const { session, keys } = this.#parts;
    const found = results.slice(EPOCH_READS).flatMap((each) => each.found);
    try {
      const holders = found.map((entry) => ({ entry, holder: decodeHolder(entry) }));
      const other = holders.find(({ holder }) => holder.session !== session.id);
      if (other !== undefined) {
        return this.#name(other.holder, other.entry.key !== keys.exclusive(wanted.name), done);
      }
      const [own] = holders;
      // Somebody had it a moment ago.
      if (own === undefined) return this.#take(wanted, lock.key, done);
      const { domain, uuid, pid, start, since } = own.holder;
      const asker = wanted.holder;
      const same = asker.pid === pid && asker.start === start && asker.uuid === uuid;
      if (!same && this.#parts.lives(pid, start)) {
        const { host } = this.#parts;
        const shared = own.entry.key !== keys.exclusive(wanted.name);
        const by = { kind: "host", host, silent: false, shared, domain, uuid, pid, since } as const;
        return done({ kind: "held", by });
      }
      this.#leftover(epoch, lock, own.entry, wanted, done);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      done({ kind: "failed", reason: error.message });
    }
  }

  /** This host has it itself, in etcd alone, for the asker or for a process that is gone. */
  #leftover(
    epoch: Epoch,
    lock: ClusterLock,
    { key, value, changedAt }: KeyValue,
    wanted: Wanted,
    done: (taken: Taken) => void,
  ): void {
    const { session, keys } = this.#parts;
    const retry = () => this.#take(wanted, lock.key, done);
    if (key !== lock.key) {
      return this.#give({ key, own: keys.own(session.id, key), value }, (failure) => {
        if (failure !== undefined) return done({ kind: "failed", reason: failure });
        retry();
      });
    }
    session.ask(replace(epoch, lock, changedAt), (answer) => {
      this.#answered(answer, lock, wanted, done, ({ results }) => {
        session.moved(epoch, results);
        retry();
      });
    });
  }

  /** Finds out whose a session is, and whether its host is heard of. */
  #name(holder: LockHolder, shared: boolean, done: (taken: Taken) => void): void {
    const { session, keys } = this.#parts;
    const { domain, uuid, pid, since } = holder;
    const told = (host: string, silent: boolean) =>
      done({ kind: "held", by: { kind: "host", host, silent, shared, domain, uuid, pid, since } });
    session.ask(read(keys.session(holder.session)), (answer) => {
      const [entry] = foundIn(answer);
      if (entry === undefined) return told("", false);
      try {
        const { host, name } = decodeSession(entry);
        session.ask(read(keys.host(host)), (heard) => {
          const silent = heard.kind === "transaction" && foundIn(heard).length === 0;
          told(name, silent);
        });
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        told("", false);
      }
    });
  }

  #give(lock: ClusterLock, done: (failure: string | undefined) => void): void {
    const { session } = this.#parts;
    session.whenLive(Infinity, (epoch) => {
      session.ask(release(epoch, lock), (answer) => {
        if (answer.kind !== "transaction") {
          return this.#giveLater(answer, lock, done);
        }
        const { succeeded, results } = answer.result;
        if (succeeded) return done(undefined);
        if (session.moved(epoch, results)) return this.#give(lock, done);
        this.#gone(epoch, lock, done);
      });
    }, done);
  }

  /** Nobody has it any more, or somebody else does: only the session's own list may name it still. */
  #gone(epoch: Epoch, lock: ClusterLock, done: (failure: string | undefined) => void): void {
    const { session } = this.#parts;
    session.ask(forget(epoch, lock), (answer) => {
      if (answer.kind === "transaction") return done(undefined);
      this.#giveLater(answer, lock, done);
    });
  }

  /** What became of a release is not known, or it was refused. */
  #giveLater(
    answer: Exclude<Answer, { kind: "transaction" }>,
    lock: ClusterLock,
    done: (failure: string | undefined) => void,
  ): void {
    const { session, loop } = this.#parts;
    if (answer.kind !== "refused") {
      session.doubt(reasonOf(answer));
      return this.#give(lock, done);
    }
    loop.after(AGAIN_MS, () => this.#give(lock, done));
  }
}

function foundIn(answer: Answer): readonly KeyValue[] {
  return answer.kind === "transaction" ? answer.result.results.flatMap(({ found }) => found) : [];
}
