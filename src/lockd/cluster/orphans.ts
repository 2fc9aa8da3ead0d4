import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { ClusterLocks } from "./cluster_locks.ts";
import type { LockHolder } from "./records.ts";
import type { ClusterLock } from "./transactions.ts";

/** How often it is looked whether their processes live, in ms. */
const LOOK_MS = 3000;

/** What orphans need. */
export interface OrphansParts {
  readonly locks: Pick<ClusterLocks, "give">;
  readonly loop: Pick<EventLoop, "after">;
  /** Whether a process lives; also where that cannot be told. */
  readonly lives: (pid: number, start: number) => boolean;
  /** How long the writes of a process may come after its end, in ms. */
  readonly settle: () => number;
}

/**
 * Locks that etcd has of this host, for processes that live, and of which the daemon knows nothing: it was
 * killed in the middle of granting them, or has lost its state once. Each is kept as long as its process
 * lives, for that may be writing.
 */
export class Orphans {
  readonly #parts: OrphansParts;
  readonly #kept = new Map<string, { lock: ClusterLock; holder: LockHolder }>();

  #settling = 0;

  constructor(parts: OrphansParts) {
    this.#parts = parts;
  }

  /** How many are on their way out: their processes are gone. */
  get leaving(): number {
    const { lives } = this.#parts;
    return this.#settling +
      [...this.#kept.values()].filter(({ holder }) => !lives(holder.pid, holder.start)).length;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Keeps one. */
  add(lock: ClusterLock, holder: LockHolder): void {
    if (this.#kept.size === 0) this.#parts.loop.after(LOOK_MS, () => this.#look());
    this.#kept.set(lock.key, { lock, holder });
  }

  #look(): void {
    const { lives, locks, loop, settle } = this.#parts;
    for (const [key, { lock, holder }] of this.#kept) {
      if (lives(holder.pid, holder.start)) continue;
      this.#kept.delete(key);
      // Its owner may have got it again meanwhile: then it is another record, and nothing is given back.
      this.#settling++;
      loop.after(settle(), () => locks.give(lock, () => void this.#settling--));
    }
    if (this.#kept.size > 0) loop.after(LOOK_MS, () => this.#look());
  }
}
