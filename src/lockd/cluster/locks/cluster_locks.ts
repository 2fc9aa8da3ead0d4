import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Answer } from "../../../etcd/wire/link_messages.ts";
import type { KeyValue, TransactionResult } from "../../../etcd/wire/transaction.ts";
import type { ForeignHolder } from "../../lockspace/refusal.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { FencedLocks } from "./fenced_locks.ts";
import type { HolderNames, NamedHolder } from "./holder_names.ts";
import type { SilentHost } from "../fencing/host_fencing.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { KeyQueues } from "./key_queues.ts";
import { LockReturns, tryAgain } from "./lock_returns.ts";
import { type ClusterName, decodeName } from "../keys/names.ts";
import { goOver, type Met } from "../keys/marks.ts";
import type { PausedMarks } from "./paused_marks.ts";
import type { Orphans } from "./orphans.ts";
import { decodeHolder, type HolderFacts, type LockHolder } from "../keys/lock_holder.ts";
import { RecordError } from "../keys/record_fields.ts";
import { encodeRecord } from "../keys/records.ts";
import type { ClusterSession } from "../session/session.ts";
import {
  acquire,
  type ChangedMark,
  type ClusterLock,
  type Epoch,
  EPOCH_READS,
  type Marks,
  obstacles,
  obstaclesOf,
  read,
  replace,
  TOO_MANY_MARKS,
} from "../keys/transactions.ts";
import type { Wants } from "./wants.ts";

/** Who waits for what is done to a key looks so often whether that is of use still, in ms. */
const LOOK_MS = 1000;
const NOT_OVER = "what was begun with it before, as its release, has not come to its end";

/** What came of an ask for a lock. */
export type Taken =
  | {
    readonly kind: "taken";
    readonly lock: ClusterLock;
    /** Marks of paused guests that say now that who has taken it may write. */
    readonly changed: readonly ChangedMark[];
  }
  | { readonly kind: "held"; readonly by: ForeignHolder }
  /** Who asks was paused, and another one has had the lock meanwhile. */
  | { readonly kind: "used"; readonly by: NamedHolder }
  /** Nobody is known to hold it, but it could not be had. */
  | { readonly kind: "failed"; readonly reason: string };

/** What is asked for. */
export interface Wanted {
  readonly name: ClusterName;
  readonly shared: boolean;
  readonly holder: HolderFacts;
  /** Whether it is refused to a guest that was paused, when another one has had it meanwhile. */
  readonly resumed: () => boolean;
  /** Until when an answer is waited for, by the monotonic clock. */
  readonly until: number;
}

type SessionLike = Pick<ClusterSession, "id" | "whenLive" | "ask" | "doubt" | "moved">;

/** A lock that was tried to be had. */
interface TriedLock extends ClusterLock {
  readonly marks?: Marks | undefined;
  /** It takes the place of what etcd had for the same process, which may be writing. */
  readonly again?: true;
}

/** A lock as etcd has it. */
interface Found {
  readonly entry: KeyValue;
  readonly holder: LockHolder;
}

type Held = Extract<Taken, { kind: "held" }>;

/** What the locks work with. */
export interface ClusterLocksParts {
  readonly session: SessionLike;
  readonly keys: ClusterKeys;
  /** Another text each time. */
  readonly nonce: () => string;
  readonly loop: Pick<EventLoop, "after">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Whether a process of this host lives, of which a lock's record tells. */
  readonly lives: (pid: number, start: number) => boolean;
  /** What is kept for processes of which the daemon knows nothing: a lock that is taken is none of that. */
  readonly orphans: () => Pick<Orphans, "has" | "forget" | "add">;
  /** Whether the lock table has a lock of a key, perhaps by another name of the same device. */
  readonly held: (key: string) => boolean;
  /** This host's name. */
  readonly host: string;
  readonly names: Pick<HolderNames, "name">;
  readonly wants: Pick<Wants, "ask">;
  readonly marks: Pick<PausedMarks, "add" | "gone">;
  /** Told that somebody asks for a lock of a host that is not heard of. */
  readonly silent: (host: SilentHost, reason: string) => void;
  /** Frees locks of hosts that were fenced. */
  readonly fencedLocks: Pick<FencedLocks, "free">;
}

/**
 * This host's locks in etcd. What it answers is certain: a lock is taken when etcd has said so, and one that
 * could not be had is not in etcd, or goes from there as soon as that is possible.
 *
 * What is done to one key is done one after the other.
 */
export class ClusterLocks {
  readonly #parts: ClusterLocksParts;
  readonly #returns: LockReturns;
  readonly #queues = new KeyQueues();
  /** Releases that are under way or wait for etcd. */
  #releasing = 0;

  constructor(parts: ClusterLocksParts) {
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

  /** Takes a lock. */
  take(wanted: Wanted, done: (taken: Taken) => void): void {
    const { keys, session } = this.#parts;
    const key = keys.lock(wanted.name, wanted.shared, session.id);
    let waits = true;
    const tooLong = (reason: string) => {
      waits = false;
      done({ kind: "failed", reason });
    };
    if (this.#queues.busy(key)) this.#watchTurn(wanted.until, () => waits, tooLong);
    this.#queues.add(key, (end) => {
      if (!waits) return end();
      waits = false;
      this.#take(wanted, (taken) => {
        if (taken.kind === "taken") this.#parts.orphans().forget(key);
        end();
        done(taken);
      });
    });
  }

  /** What is done to a key before may go on for as long as etcd is away: nobody waits for that. */
  #watchTurn(until: number, waits: () => boolean, tooLong: (reason: string) => void): void {
    const { session, loop, clock } = this.#parts;
    const look = () => {
      if (!waits()) return;
      const left = until - clock();
      if (left <= 0) return tooLong(NOT_OVER);
      session.whenLive(
        until,
        () => void loop.after(Math.min(left, LOOK_MS), look),
        (reason) => {
          if (waits()) tooLong(reason);
        },
      );
    };
    look();
  }

  /**
   * Who was granted a lock has not used it: what was said of that to paused guests is taken back. To be
   * called while the lock is held.
   */
  unuse(lock: ClusterLock, changed: readonly ChangedMark[]): void {
    for (const mark of changed) {
      this.#queues.add(lock.key, (end) => this.#returns.unuse(mark, end));
    }
  }

  /**
   * Gives a lock back, however long that takes.
   *
   * @param mark what is put in its place, for a guest that is paused
   * @param done gets why etcd may keep it for ever: the session is lost; else undefined
   */
  give(lock: ClusterLock, done: (failure: string | undefined) => void, mark?: ClusterLock): void {
    this.#releasing++;
    this.#queues.add(lock.key, (end) => {
      this.#returns.give(lock, mark, (failure) => {
        // Perhaps it was put there although the answer was lost.
        if (mark !== undefined) this.#parts.marks.add(mark);
        this.#releasing--;
        end();
        done(failure);
      });
    });
  }

  /**
   * Looks whether etcd still has a lock.
   *
   * @param gone called when etcd has said that it has it no more, or has another record in its place
   */
  whenGone({ key, value }: ClusterLock, gone: () => void): void {
    const transaction = { compare: [{ kind: "value", key, value } as const], success: [], failure: [] };
    this.#parts.session.ask(transaction, (answer) => {
      if (answer.kind === "transaction" && !answer.result.succeeded) gone();
    });
  }

  /** Does something to a key when all is done that was begun before; the task calls `end` when it is over. */
  inTurn(key: string, task: (end: () => void) => void): void {
    this.#queues.add(key, task);
  }

  /** The mark of a guest that is paused while its lock is given back. */
  markOf(name: ClusterName, holder: HolderFacts): ClusterLock {
    const { session, keys, nonce } = this.#parts;
    const key = keys.paused(name, session.id, holder.pid, holder.start);
    const value = encodeRecord({ session: session.id, attempt: nonce(), ...holder });
    return { key, own: keys.own(session.id, key), value };
  }

  /**
   * @param seen marks of paused guests that there are
   * @param answered the lock that is in the way, of which its host has said that it is not given
   */
  #take(
    wanted: Wanted,
    done: (taken: Taken) => void,
    seen: readonly KeyValue[] = [],
    answered?: string,
  ): void {
    const { session, keys, nonce } = this.#parts;
    const failed = (reason: string) => done({ kind: "failed", reason });
    session.whenLive(wanted.until, (epoch) => {
      const { name, shared, holder } = wanted;
      // Of the session that there is now: one that was fenced is over.
      const key = keys.lock(name, shared, session.id);
      const record = { session: session.id, attempt: nonce(), ...holder };
      const met = this.#goOver(seen, record, wanted);
      if (typeof met === "string") return failed(met);
      // Only who has it alone is kept in a mark.
      if (met.kind === "used") {
        return this.#parts.names.name(met.by, false, (by) => done({ kind: "used", by }));
      }
      const { marks } = met;
      const lock = { key, own: keys.own(session.id, key), value: encodeRecord(record), marks };
      session.ask(acquire(epoch, lock, obstaclesOf(keys, name, shared), marks), (answer) => {
        this.#answered(answer, lock, wanted, done, (result) => {
          if (session.moved(epoch, result.results)) return this.#take(wanted, done);
          this.#refused(epoch, lock, wanted, result, done, answered);
        });
      });
    }, failed);
  }

  /** @param otherwise called with a transaction that did not succeed */
  #answered(
    answer: Answer,
    lock: TriedLock,
    wanted: Wanted,
    done: (taken: Taken) => void,
    otherwise: (result: TransactionResult) => void,
  ): void {
    switch (answer.kind) {
      case "transaction":
        if (!answer.result.succeeded) return otherwise(answer.result);
        return this.#taken(lock, wanted, done);
      case "refused":
        return done({ kind: "failed", reason: answer.reason });
      case "full":
        return this.#full(lock, wanted, answer.reason, done);
      case "lease":
      case "changed":
      case "versions":
      case "unknown": {
        const reason = reasonOf(answer);
        this.#parts.session.doubt(reason);
        return this.#unknown(lock, wanted, reason, done);
      }
    }
  }

  /** etcd has the lock. One of a session that has ended meanwhile, because it was fenced, is nobody's. */
  #taken({ marks, key, own, value }: TriedLock, wanted: Wanted, done: (taken: Taken) => void): void {
    const { keys, session } = this.#parts;
    const lock = { key, own, value };
    for (const { key } of marks?.dropped ?? []) this.#parts.marks.gone(key);
    if (lock.own !== keys.own(session.id, lock.key)) return this.#take(wanted, done);
    done({ kind: "taken", lock, changed: marks?.changed ?? [] });
  }

  #goOver(seen: readonly KeyValue[], taker: LockHolder, { resumed }: Wanted): Met | string {
    const { keys } = this.#parts;
    try {
      return goOver(seen, taker, resumed, (session, mark) => keys.own(session, mark));
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      return error.message;
    }
  }

  /**
   * etcd is full, and may have put the lock there all the same. Nothing of that comes any more: it can be
   * looked up at once, without a bump, which a full etcd would not take.
   */
  #full(lock: TriedLock, wanted: Wanted, reason: string, done: (taken: Taken) => void): void {
    this.#lookUp(lock, wanted, reason, done, () => done({ kind: "failed", reason }));
  }

  /** Whether etcd has the lock is not known. As soon as it cannot come any more, it is looked up. */
  #unknown(lock: TriedLock, wanted: Wanted, reason: string, done: (taken: Taken) => void): void {
    const { session } = this.#parts;
    const giveUp = () => {
      if (lock.again === true) {
        this.#keep(lock);
        return done({ kind: "failed", reason });
      }
      // Behind the answer: whoever asks for it next has to wait until it has gone.
      this.unuse(lock, lock.marks?.changed ?? []);
      const paused = (lock.marks?.dropped.length ?? 0) > 0;
      this.give(lock, () => {}, paused ? this.markOf(wanted.name, wanted.holder) : undefined);
      done({ kind: "failed", reason });
    };
    session.whenLive(
      wanted.until,
      () => this.#lookUp(lock, wanted, reason, done, () => this.#take(wanted, done)),
      giveUp,
    );
  }

  /**
   * What etcd had for a process of which the daemon knows nothing stays as long as that lives, though it was
   * asked for in vain: a paused guest would have no mark. Whoever keeps it has to know which record it is.
   */
  #keep(lock: ClusterLock): void {
    const { session, orphans, keys } = this.#parts;
    this.#queues.add(lock.key, (end) => {
      const look = () =>
        session.whenLive(Infinity, () => {
          session.ask(read(lock.key), (answer) => {
            if (answer.kind !== "transaction") return tryAgain(this.#parts, answer, look);
            const use = keys.isShare(lock.key) ? "shared" : "alone";
            if (foundIn(answer)[0]?.value === lock.value) orphans().add(lock, decodeHolder(lock), use);
            end();
          });
        }, end);
      look();
    });
  }

  /**
   * Looks whether etcd has a lock that was tried to be had, and cannot come any more.
   *
   * @param reason why that is not known
   * @param absent called when it is not there
   */
  #lookUp(
    lock: TriedLock,
    wanted: Wanted,
    reason: string,
    done: (taken: Taken) => void,
    absent: () => void,
  ): void {
    const { session } = this.#parts;
    session.ask(read(lock.key), (answer) => {
      if (answer.kind !== "transaction") {
        session.doubt(reasonOf(answer));
        return this.#unknown(lock, wanted, reason, done);
      }
      const [found] = foundIn(answer);
      if (found?.value === lock.value) return this.#taken(lock, wanted, done);
      absent();
    });
  }

  /** The lock is somebody's. */
  #refused(
    epoch: Epoch,
    lock: ClusterLock,
    wanted: Wanted,
    { results }: TransactionResult,
    done: (taken: Taken) => void,
    answered: string | undefined,
  ): void {
    const { session, keys } = this.#parts;
    const [exclusive, sharers, paused] = results.slice(EPOCH_READS);
    const found = [exclusive, sharers].flatMap((each) => each?.found ?? []);
    try {
      const holders = found.map((entry) => ({ entry, holder: decodeHolder(entry) }));
      const other = holders.find(({ holder }) => holder.session !== session.id);
      if (other !== undefined) {
        if (other.entry.value === answered) return this.#held(other, done);
        return this.#elsewhere(epoch, other, wanted, done, (entry) => {
          this.#take(wanted, done, [], entry.value);
        });
      }
      const [own] = holders;
      if (own === undefined) {
        if (paused?.more === true) {
          return done({ kind: "failed", reason: TOO_MANY_MARKS });
        }
        // Somebody had it a moment ago, or there are marks to go over.
        return this.#take(wanted, done, paused?.found);
      }
      const { domain, uuid, pid, start, since } = own.holder;
      const asker = wanted.holder;
      const same = asker.pid === pid && asker.start === start && asker.uuid === uuid;
      const { host, held, orphans, lives } = this.#parts;
      const { key } = own.entry;
      const shared = keys.isShare(key);
      const orphan = orphans().has(key);
      // Of a share that nobody knows others may be left when the asker releases it.
      if (held(key) || (shared && orphan) || (!same && (orphan || lives(pid, start)))) {
        const by = { kind: "host", host, shared, domain, uuid, pid, since } as const;
        return done({ kind: "held", by });
      }
      const { value } = lock;
      const tried = { key: lock.key, own: lock.own, value, ...same ? { again: true } as const : {} };
      this.#leftover(epoch, tried, own.entry, wanted, done);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      done({ kind: "failed", reason: error.message });
    }
  }

  /**
   * Has other hosts give a lock where they may, without taking it.
   *
   * @param done gets "free" when none of them has it now
   */
  clear(
    wanted: Wanted,
    done: (outcome: "free" | Exclude<Taken, { kind: "taken" }>) => void,
    answered?: string,
  ): void {
    const { session, keys } = this.#parts;
    const { name, shared, until } = wanted;
    const failed = (reason: string) => done({ kind: "failed", reason });
    session.whenLive(until, (epoch) => {
      session.ask(obstacles(obstaclesOf(keys, name, shared)), (answer) => {
        if (answer.kind !== "transaction") return failed(reasonOf(answer));
        const other = this.#othersIn(answer);
        if (typeof other === "string") return failed(other);
        if (other === undefined) return done("free");
        if (other.entry.value === answered) return this.#held(other, done);
        this.#elsewhere(epoch, other, wanted, done, (entry) => this.clear(wanted, done, entry.value));
      });
    }, failed);
  }

  /** The first lock of another host; why that cannot be told. */
  #othersIn(answer: Answer): Found | string | undefined {
    try {
      return foundIn(answer).map((entry) => ({ entry, holder: decodeHolder(entry) })).find(({ holder }) =>
        holder.session !== this.#parts.session.id
      );
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      return error.message;
    }
  }

  #held({ entry, holder }: Found, done: (taken: Held) => void): void {
    const { keys, names } = this.#parts;
    names.name(holder, keys.isShare(entry.key), (by) => done({ kind: "held", by }));
  }

  /**
   * Another host has it, which may give it: its guest is paused, or just ending. One that was fenced has it
   * no more.
   */
  #elsewhere(
    epoch: Epoch,
    { entry, holder }: Found,
    { holder: asker, name }: Wanted,
    done: (refused: Exclude<Taken, { kind: "taken" }>) => void,
    again: (entry: KeyValue) => void,
  ): void {
    const { keys, wants, fencedLocks } = this.#parts;
    const shared = keys.isShare(entry.key);
    fencedLocks.free(epoch, entry, (freed) => {
      switch (freed.kind) {
        case "again":
          return again(entry);
        case "failed":
          return done(freed);
        case "stays":
          this.#parts.names.name(holder, shared, (by) => {
            if (by.silentSince !== undefined) {
              const lock = `${name.space}/${decodeName(name.name)}`;
              const reason =
                `domain '${asker.domain}' asks for the lock ${lock} of domain '${holder.domain}'`;
              this.#parts.silent({ session: holder.session, name: by.host }, reason);
              return done({ kind: "held", by });
            }
            wants.ask({ epoch, entry, of: holder.session, asker }, (outcome) => {
              if (outcome === "silent") return done({ kind: "held", by });
              again(entry);
            });
          });
      }
    });
  }

  /** This host has it itself, in etcd alone, for the asker or for a process that is gone. */
  #leftover(
    epoch: Epoch,
    lock: TriedLock,
    { key, value, changedAt }: KeyValue,
    wanted: Wanted,
    done: (taken: Taken) => void,
  ): void {
    const { session, keys } = this.#parts;
    const retry = () => this.#take(wanted, done);
    if (key !== lock.key) {
      return this.#returns.give({ key, own: keys.own(session.id, key), value }, undefined, (failure) => {
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
}

function foundIn(answer: Answer): readonly KeyValue[] {
  return answer.kind === "transaction" ? answer.result.results.flatMap(({ found }) => found) : [];
}
