import { reasonOf } from "../etcd/etcd.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { PausedMarks } from "../locks/paused_marks.ts";
import { asUsed } from "../keys/marks.ts";
import {
  type ClusterLock,
  type Epoch,
  EPOCH_READS,
  MOVED,
  putFreshMark,
  putMark,
} from "../keys/transactions.ts";
import type { ClusterSession } from "../session/session.ts";
import type { FreshMark } from "./lost_marks.ts";

/** What writing marks works with. */
export interface WrittenMarksParts {
  readonly session: Pick<ClusterSession, "ask" | "moved">;
  /** Gets them. */
  readonly marks: Pick<PausedMarks, "add">;
}

/** Called once, with why it is not done. */
type Done = (failure: string | undefined) => void;

/** Writes marks of paused guests of this host that have none in etcd. */
export class WrittenMarks {
  readonly #parts: WrittenMarksParts;

  constructor(parts: WrittenMarksParts) {
    this.#parts = parts;
  }

  /** Marks a guest, whoever has its lock. */
  put(epoch: Epoch, mark: ClusterLock, done: Done): void {
    const { session, marks } = this.#parts;
    session.ask(putMark(epoch, mark), (answer) => {
      if (answer.kind !== "transaction") return done(reasonOf(answer));
      if (!answer.result.succeeded) return done(MOVED);
      marks.add(mark);
      done(undefined);
    });
  }

  /**
   * Marks a guest that was paused before this host was a member. Where somebody has its lock by now it is
   * told so.
   *
   * @param seen marks of other guests that there are; undefined: there is none
   */
  fresh(epoch: Epoch, fresh: FreshMark, done: Done, seen?: readonly KeyValue[]): void {
    const { session, marks } = this.#parts;
    const { mark, obstacles } = fresh;
    session.ask(putFreshMark(epoch, mark, obstacles, seen), (answer) => {
      if (answer.kind !== "transaction") return done(reasonOf(answer));
      const { succeeded, results } = answer.result;
      if (succeeded) {
        marks.add(mark);
        return done(undefined);
      }
      if (session.moved(epoch, results)) return done(MOVED);
      const holders = results.slice(EPOCH_READS);
      const others = holders.pop();
      const marked = others === undefined || others.more || others.found.some(({ key }) => key === mark.key);
      if (marked || holders.some(({ found }) => found.length > 0)) {
        return this.put(epoch, asUsed(mark), done);
      }
      this.fresh(epoch, fresh, done, others.found.length === 0 ? undefined : others.found);
    });
  }
}
