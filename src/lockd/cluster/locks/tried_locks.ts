import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import { foundIn, reasonOf } from "../etcd/etcd.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { Lineage } from "../keys/lineage.ts";
import { decodeHolder } from "../keys/lock_holder.ts";
import { asBefore } from "../keys/marks.ts";
import { type ClusterLock, read } from "../keys/transactions.ts";
import type { ClusterSession } from "../session/session.ts";
import { tryAgain } from "./lock_returns.ts";
import type { LockTurns } from "./lock_turns.ts";
import { type Orphans, orphanUse } from "./orphans.ts";
import type { UngrantedTries } from "./ungranted_tries.ts";
import type { TriedLock, Wanted } from "./wanted_lock.ts";

/** A try to get a lock, of which it is not known what came of it. */
export interface Tried {
  readonly lock: TriedLock;
  readonly wanted: Wanted;
  /** Why that is not known. */
  readonly reason: string;
}

/** What has come of it. */
export type Came =
  | { readonly kind: "had" }
  /** It is not there, and cannot come any more. */
  | { readonly kind: "absent" }
  /** That was not found out in time. If etcd has the lock, it is given back, or kept for its process. */
  | { readonly kind: "failed"; readonly reason: string };

/** What finding out works with. */
export interface TriedLocksParts {
  readonly session: Pick<ClusterSession, "whenLive" | "ask" | "doubt">;
  readonly keys: Pick<ClusterKeys, "isShare">;
  readonly lineage: Pick<Lineage, "wrote">;
  readonly loop: Pick<EventLoop, "after">;
  readonly turns: Pick<LockTurns, "inTurn" | "give" | "markOf">;
  /** What is kept for processes of which the daemon knows nothing. */
  readonly orphans: () => Pick<Orphans, "add">;
  readonly tries: Pick<UngrantedTries, "end">;
}

/** Finds out what has come of tries to get locks whose outcome is not known. */
export class TriedLocks {
  readonly #parts: TriedLocksParts;

  constructor(parts: TriedLocksParts) {
    this.#parts = parts;
  }

  /** As soon as a lock cannot come any more, it is looked up. */
  settle(tried: Tried, done: (came: Came) => void): void {
    const { session } = this.#parts;
    const { lock, wanted, reason } = tried;
    session.whenLive(
      wanted.limit.until,
      () => this.lookUp(tried, done, () => done({ kind: "absent" })),
      () => {
        this.giveUp(lock, wanted);
        done({ kind: "failed", reason });
      },
    );
  }

  /** Nobody waits any more for a lock that etcd has, or may have: it goes, or is kept for its process. */
  giveUp(lock: TriedLock, wanted: Wanted): void {
    const { turns } = this.#parts;
    if (lock.again === true) return this.#keep(lock);
    const { seen = [], dropped = [] } = lock.marks ?? {};
    const before = seen.find(({ key }) => dropped.some((each) => each.key === key));
    const mark = before === undefined
      ? undefined
      : asBefore(turns.markOf(wanted.name, wanted.holder), before);
    // Behind the answer: whoever asks for it next has to wait until it has gone.
    turns.give(lock, () => {}, mark);
  }

  /**
   * Looks whether etcd has a lock that was tried to be had, and cannot come any more.
   *
   * @param done called unless it is not there now
   * @param absent called when it is not
   */
  lookUp(tried: Tried, done: (came: Came) => void, absent: () => void): void {
    const { session } = this.#parts;
    const { lock } = tried;
    session.ask(read(lock.key), (answer) => {
      if (answer.kind !== "transaction") {
        session.doubt(reasonOf(answer));
        return this.settle(tried, done);
      }
      const [found] = foundIn(answer);
      if (found?.value === lock.value) return done({ kind: "had" });
      absent();
    });
  }

  /**
   * What etcd had for a process of which the daemon knows nothing stays as long as that lives, though it was
   * asked for in vain: a paused guest would have no mark. Whoever keeps it has to know which record it is.
   */
  #keep(lock: ClusterLock): void {
    const { session, orphans, keys, lineage, turns, tries } = this.#parts;
    turns.inTurn(lock.key, (end) => {
      const look = () =>
        session.whenLive(Infinity, () => {
          session.ask(read(lock.key), (answer) => {
            if (answer.kind !== "transaction") return tryAgain(this.#parts, answer, look);
            const holder = decodeHolder(lock);
            const use = orphanUse({ keys, lineage }, lock.key, holder);
            if (foundIn(answer)[0]?.value === lock.value) orphans().add(lock, holder, use);
            else tries.end(lock.value);
            end();
          });
        }, end);
      look();
    });
  }
}
