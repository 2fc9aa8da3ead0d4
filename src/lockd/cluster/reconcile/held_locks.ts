import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { FencedLocks } from "../locks/fenced_locks.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { goOver } from "../keys/marks.ts";
import { decodeHolder, decodePaused, type LockHolder } from "../keys/lock_holder.ts";
import { RecordError } from "../keys/record_fields.ts";
import { encodeRecord } from "../keys/records.ts";
import type { ClusterSession } from "../session/session.ts";
import {
  acquire,
  type ClusterLock,
  type Epoch,
  EPOCH_READS,
  type Marks,
  MOVED,
  type Obstacles,
  TOO_MANY_MARKS,
} from "../keys/transactions.ts";

/** A lock that this host has, and etcd perhaps not. */
export interface HeldLock {
  readonly key: string;
  readonly own: string;
  readonly holder: LockHolder;
  readonly obstacles: Obstacles;
}

/** What came of putting it into etcd. */
export type Put =
  | { readonly kind: "put"; readonly lock: ClusterLock }
  | { readonly kind: "others"; readonly by: LockHolder }
  /** It is not known whether etcd has it when `unknown` is set. */
  | { readonly kind: "failed"; readonly reason: string; readonly unknown: boolean };

/** What putting locks into etcd works with. */
export interface HeldLocksParts {
  readonly session: Pick<ClusterSession, "id" | "ask" | "moved">;
  readonly keys: Pick<ClusterKeys, "own" | "isPaused">;
  /** Frees what the host had until it was fenced, and others that were. */
  readonly fencedLocks: Pick<FencedLocks, "free">;
}

/** Puts locks that this host has into etcd, where no other session has them that was not fenced. */
export class HeldLocks {
  readonly #parts: HeldLocksParts;

  constructor(parts: HeldLocksParts) {
    this.#parts = parts;
  }

  /** @throws RecordError when what etcd has is none */
  put(epoch: Epoch, held: HeldLock, done: (outcome: Put) => void): void {
    this.#put(epoch, held, [], done);
  }

  /** @param seen marks of paused guests that there are */
  #put(epoch: Epoch, held: HeldLock, seen: readonly KeyValue[], done: (outcome: Put) => void): void {
    const { session, keys, fencedLocks } = this.#parts;
    const { key, own, holder, obstacles } = held;
    const failed = (reason: string, unknown = false) => done({ kind: "failed", reason, unknown });
    const lock = { key, own, value: encodeRecord(holder) };
    session.ask(acquire(epoch, lock, obstacles, this.#marks(seen, holder)), (answer) => {
      if (answer.kind !== "transaction") return failed(reasonOf(answer), answer.kind !== "refused");
      const { succeeded, results } = answer.result;
      if (succeeded) return done({ kind: "put", lock });
      if (session.moved(epoch, results)) return failed(MOVED);
      const found = results.slice(EPOCH_READS).flatMap((each) => each.found);
      const [other] = found.filter((entry) => !keys.isPaused(entry.key));
      try {
        // Somebody had it a moment ago, or there are marks to go over.
        if (other === undefined) {
          if (results.some(({ more }) => more)) return failed(TOO_MANY_MARKS);
          return this.#put(epoch, held, found, done);
        }
        const by = decodeHolder(other);
        fencedLocks.free(epoch, other, (freed) => {
          switch (freed.kind) {
            case "again":
              return this.#put(epoch, held, [], done);
            case "stays":
              return done({ kind: "others", by });
            case "failed":
              return failed(freed.reason);
          }
        });
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        failed(error.message);
      }
    });
  }

  /**
   * What becomes of the marks. The guest's own stays when it says that another one has had the lock: the
   * guest may run on, but when it is paused it is not resumed.
   */
  #marks(seen: readonly KeyValue[], holder: LockHolder): Marks | undefined {
    const { keys } = this.#parts;
    const met = goOver(seen, holder, () => false, (of, mark) => keys.own(of, mark));
    if (met.kind !== "marks" || met.marks === undefined) return undefined;
    const used = new Set(
      seen.filter((entry) => decodePaused(entry).used !== undefined).map(({ key }) => key),
    );
    return { ...met.marks, dropped: met.marks.dropped.filter(({ key }) => !used.has(key)) };
  }
}
