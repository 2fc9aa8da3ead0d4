import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Answer } from "../../../etcd/wire/link_messages.ts";
import type { KeyValue, TransactionResult } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { decodeHolder, type LockHolder } from "../keys/lock_holder.ts";
import type { Lineage } from "../keys/lineage.ts";
import { goOver, type Met } from "../keys/marks.ts";
import { RecordError } from "../keys/record_fields.ts";
import { encodeRecord } from "../keys/records.ts";
import {
  acquire,
  type ClusterLock,
  type Epoch,
  EPOCH_READS,
  obstaclesOf,
  replace,
  TOO_MANY_MARKS,
} from "../keys/transactions.ts";
import type { ClusterSession } from "../session/session.ts";
import { Asker } from "./asker.ts";
import type { HolderNames } from "./holder_names.ts";
import { LockReturns } from "./lock_returns.ts";
import type { LockTurns } from "./lock_turns.ts";
import type { Orphans } from "./orphans.ts";
import { OtherHolders, type OtherHoldersParts } from "./other_holders.ts";
import type { PausedMarks } from "./paused_marks.ts";
import { type Came, TriedLocks } from "./tried_locks.ts";
import type { UngrantedTries } from "./ungranted_tries.ts";
import type { NotTaken, Taken, TriedLock, Wanted } from "./wanted_lock.ts";

/** Who waits for what is done to a key looks so often whether that is of use still, in ms. */
const LOOK_MS = 1000;
/**
 * With less time than this a lock is not asked for any more, in ms: most likely it would be granted behind
 * the refusal, and be given back. A write takes some milliseconds, and some tens of them on a slow disk.
 */
const LEAST_MS = 100;
const TOO_LITTLE = "nothing of storage_timeout is left to ask etcd";
const LATE = "etcd has not answered within storage_timeout";
const NOT_OVER = "what was begun with it before, as its release, has not come to its end";

/** What taking locks works with. */
export interface ClusterLocksParts extends OtherHoldersParts {
  readonly session: Pick<ClusterSession, "id" | "whenLive" | "ask" | "doubt" | "moved">;
  readonly keys: ClusterKeys;
  /** The daemons of which this one is. */
  readonly lineage: Pick<Lineage, "attempt" | "wrote">;
  readonly loop: Pick<EventLoop, "after">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Whether a process of this host lives, of which a lock's record tells. */
  readonly lives: (pid: number, start: number) => boolean;
  /** What is kept for processes of which the daemon knows nothing: a lock that is taken is none of that. */
  readonly orphans: () => Pick<Orphans, "useOf" | "forget" | "add">;
  /** Whether the lock table has a lock of a key, perhaps by another name of the same device. */
  readonly held: (key: string) => boolean;
  /** This host's name. */
  readonly host: string;
  readonly names: Pick<HolderNames, "name">;
  readonly turns: Pick<LockTurns, "busy" | "inTurn" | "give" | "markOf">;
  readonly marks: Pick<PausedMarks, "gone">;
  readonly tries: Pick<UngrantedTries, "changedBy" | "put" | "end">;
  /** Calls `go` when all that was recorded until now is in the journal. */
  readonly recorded: (go: () => void) => void;
}

/**
 * Takes locks in etcd. What it answers is certain: a lock is taken when etcd has said so, and one that could
 * not be had is not in etcd, or goes from there as soon as that is possible.
 */
export class ClusterLocks {
  readonly #parts: ClusterLocksParts;
  readonly #returns: LockReturns;
  readonly #others: OtherHolders;
  readonly #tried: TriedLocks;

  constructor(parts: ClusterLocksParts) {
    this.#parts = parts;
    this.#returns = new LockReturns(parts);
    this.#others = new OtherHolders(parts);
    this.#tried = new TriedLocks(parts);
  }

  /** Has other hosts give a lock where they may: {@link OtherHolders.clear}. */
  clear(wanted: Wanted, done: (outcome: "free" | NotTaken) => void): void {
    const { session } = this.#parts;
    const asker = new Asker({ session, limit: wanted.limit, late: () => LATE, done });
    this.#others.clear(wanted, (outcome) => asker.answer(outcome));
  }

  /** Takes a lock. */
  take(wanted: Wanted, done: (taken: Taken) => void): void {
    const { keys, session, turns, orphans } = this.#parts;
    const key = keys.lock(wanted.name, wanted.shared, session.id);
    let begun = false;
    const { limit } = wanted;
    const asker = new Asker<Taken>({ session, limit, late: () => begun ? LATE : NOT_OVER, done });
    if (turns.busy(key)) this.#watchTurn(wanted, asker, () => !begun);
    turns.inTurn(key, (end) => {
      if (!asker.waits) return end();
      begun = true;
      this.#take(wanted, (taken) => {
        if (taken.kind === "taken") orphans().forget(key);
        end();
        asker.answer(taken);
      });
    });
  }

  /** What is done to a key before may go on for as long as etcd is away: nobody waits for that. */
  #watchTurn({ limit }: Wanted, asker: Asker<Taken>, waits: () => boolean): void {
    const { session, loop } = this.#parts;
    const look = () => {
      if (!asker.waits || !waits()) return;
      session.whenLive(limit.until, () => void loop.after(LOOK_MS, look), (reason) => {
        if (waits()) asker.answer({ kind: "failed", reason });
      });
    };
    look();
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
    const { session, keys, lineage } = this.#parts;
    const failed = (reason: string) => done({ kind: "failed", reason });
    const { limit } = wanted;
    session.whenLive(limit.until, (epoch) => {
      if (limit.left < LEAST_MS) return failed(TOO_LITTLE);
      const { name, shared, holder } = wanted;
      // Of the session that there is now: one that was fenced is over.
      const key = keys.lock(name, shared, session.id);
      const record = { session: session.id, attempt: lineage.attempt(), ...holder };
      const met = this.#goOver(seen, record, wanted);
      if (typeof met === "string") return failed(met);
      // Whether who had it has shared it a mark does not tell.
      if (met.kind === "used") {
        return this.#parts.names.name(met.by, false, (by) => done({ kind: "used", by }));
      }
      const { marks } = met;
      const lock = { key, own: keys.own(session.id, key), value: encodeRecord(record), marks };
      this.#begun(lock, () => {
        session.ask(acquire(epoch, lock, obstaclesOf(keys, name, shared), marks), (answer) => {
          this.#answered(answer, lock, wanted, done, (result) => {
            if (session.moved(epoch, result.results)) return this.#take(wanted, done);
            this.#refused(epoch, lock, wanted, result, done, answered);
          });
        });
      });
    }, failed);
  }

  /** A try that tells paused guests of it is in the journal before etcd hears of it. */
  #begun({ value, marks }: TriedLock, go: () => void): void {
    const { tries, recorded } = this.#parts;
    const changed = marks?.changed ?? [];
    if (changed.length === 0) return go();
    tries.put({ value, changed });
    recorded(go);
  }

  /** @param otherwise called with a transaction that did not succeed */
  #answered(
    answer: Answer,
    lock: TriedLock,
    wanted: Wanted,
    done: (taken: Taken) => void,
    otherwise: (result: TransactionResult) => void,
  ): void {
    const { tries } = this.#parts;
    const absent = () => tries.end(lock.value);
    const came = (outcome: Came) => {
      switch (outcome.kind) {
        case "had":
          return this.#taken(lock, wanted, done);
        case "absent":
          absent();
          return this.#take(wanted, done);
        case "failed":
          return done(outcome);
      }
    };
    switch (answer.kind) {
      case "transaction":
        if (answer.result.succeeded) return this.#taken(lock, wanted, done);
        absent();
        return otherwise(answer.result);
      case "refused":
        absent();
        return done({ kind: "failed", reason: answer.reason });
      case "full": {
        const { reason } = answer;
        // It may have put the lock there all the same. Nothing of that comes any more: it can be looked up at
        // once, without a bump, which a full etcd would not take.
        return this.#tried.lookUp({ lock, wanted, reason }, came, () => {
          absent();
          done({ kind: "failed", reason });
        });
      }
      case "lease":
      case "changed":
      case "deleted":
      case "versions":
      case "unknown": {
        const reason = reasonOf(answer);
        this.#parts.session.doubt(reason);
        return this.#tried.settle({ lock, wanted, reason }, came);
      }
    }
  }

  /** etcd has the lock. One of a session that has ended meanwhile, because it was fenced, is nobody's. */
  #taken(tried: TriedLock, wanted: Wanted, done: (taken: Taken) => void): void {
    const { marks, key, own, value } = tried;
    const { keys, session } = this.#parts;
    const lock = { key, own, value };
    for (const { key } of marks?.dropped ?? []) this.#parts.marks.gone(key);
    if (lock.own !== keys.own(session.id, lock.key)) {
      this.#parts.tries.end(value);
      return this.#take(wanted, done);
    }
    if (wanted.limit.over) {
      this.#tried.giveUp(tried, wanted);
      return done({ kind: "failed", reason: LATE });
    }
    // That a share was not used cannot be told: others of this host may have joined it, without asking etcd.
    done({ kind: "taken", lock, changed: wanted.shared ? [] : marks?.changed ?? [] });
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
        if (other.entry.value === answered) return this.#others.held(other, done);
        return this.#others.ask(epoch, other, wanted, done, (told) => this.#take(wanted, done, [], told));
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
      const use = orphans().useOf(key);
      // Of a share that nobody knows others may be left when the asker releases it.
      if (held(key) || use === "shared" || (!same && (use === "alone" || lives(pid, start)))) {
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

  /** This host has it itself, in etcd alone, for the asker or for a process that is gone. */
  #leftover(
    epoch: Epoch,
    lock: TriedLock,
    { key, value, changedAt }: KeyValue,
    wanted: Wanted,
    done: (taken: Taken) => void,
  ): void {
    const { session, keys, tries } = this.#parts;
    const retry = () => this.#take(wanted, done);
    if (key !== lock.key) {
      return this.#returns.give({ key, own: keys.own(session.id, key), value }, undefined, (failure) => {
        if (failure !== undefined) return done({ kind: "failed", reason: failure });
        retry();
      });
    }
    // What the one before has told paused guests, which nobody was granted, is this one's now.
    const changed = tries.changedBy(value);
    const heir = { ...lock, ...changed.length === 0 ? {} : { marks: { seen: [], changed, dropped: [] } } };
    const answered = (taken: Taken) => {
      if (taken.kind === "taken") tries.end(value);
      done(taken);
    };
    this.#begun(heir, () => {
      session.ask(replace(epoch, heir, changedAt), (answer) => {
        this.#answered(answer, heir, wanted, answered, ({ results }) => {
          session.moved(epoch, results);
          retry();
        });
      });
    });
  }
}
