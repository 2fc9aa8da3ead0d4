import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import { tryAgain } from "./lock_returns.ts";
import { decodeHolder } from "../keys/lock_holder.ts";
import type { ClusterSession } from "../session/session.ts";
import { type ClusterLock, unmark } from "../keys/transactions.ts";

/** How often it is looked whether their processes live, in ms. */
const LOOK_MS = 3000;

/** What marks need. */
export interface PausedMarksParts {
  readonly session: Pick<ClusterSession, "whenLive" | "ask" | "doubt" | "moved">;
  readonly loop: Pick<EventLoop, "after">;
  /** Whether a process lives; also where that cannot be told. */
  readonly lives: (pid: number, start: number) => boolean;
}

/**
 * Marks in etcd of guests of this host that were paused when others got their lock. Whoever takes the lock
 * writes into them that it did, so that such a guest is not resumed over what the other has written. Each is
 * there as long as its guest's process lives.
 */
export class PausedMarks {
  readonly #parts: PausedMarksParts;
  readonly #kept = new Map<string, ClusterLock>();
  #looking = false;

  constructor(parts: PausedMarksParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Whether one is in etcd, or may be. */
  has(key: string): boolean {
    return this.#kept.has(key);
  }

  /** One is in etcd, or may be. */
  add(mark: ClusterLock): void {
    this.#kept.set(mark.key, mark);
    this.#later();
  }

  /** One has gone from etcd. */
  gone(key: string): void {
    this.#kept.delete(key);
  }

  #later(): void {
    if (this.#looking || this.#kept.size === 0) return;
    this.#looking = true;
    this.#parts.loop.after(LOOK_MS, () => {
      this.#looking = false;
      this.#look();
      this.#later();
    });
  }

  #look(): void {
    const { lives } = this.#parts;
    for (const [key, mark] of this.#kept) {
      const { pid, start } = decodeHolder(mark);
      if (lives(pid, start)) continue;
      this.#kept.delete(key);
      this.#remove(mark);
    }
  }

  /** Of a session that is lost etcd keeps them, which is the safe side. */
  #remove(mark: ClusterLock): void {
    const { session } = this.#parts;
    session.whenLive(Infinity, (epoch) => {
      session.ask(unmark(epoch, mark), (answer) => {
        if (answer.kind !== "transaction") {
          return tryAgain(this.#parts, answer, () => this.#remove(mark));
        }
        if (!answer.result.succeeded && session.moved(epoch, answer.result.results)) this.#remove(mark);
      });
    }, () => {});
  }
}
