import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Verdict } from "../../lockspace/settler.ts";
import { type Sight, UNSEEN_QEMU } from "../../lockspace/written_files.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { Lineage } from "../keys/lineage.ts";
import type { LockHolder } from "../keys/lock_holder.ts";
import type { ClusterLock } from "../keys/transactions.ts";

/** How often it is looked whether their processes live, in ms. */
const LOOK_MS = 3000;

/** What tells whether the last writes of a process have landed. */
export interface LastWrites {
  /** What a process has open for writing; undefined when it is gone or may not be looked at. */
  readonly look: (pid: number) => Sight | undefined;
  /** Judges by what was seen of a process that is gone. @param done called once */
  readonly judge: (sight: Sight, done: (verdict: Verdict) => void) => void;
}

/** What orphans need. */
export interface OrphansParts {
  /** Gives a lock back. @param done called when it has gone */
  readonly give: (lock: ClusterLock, done: () => void) => void;
  /** Whether a lock is being taken or given back right now. */
  readonly busy: (key: string) => boolean;
  /** Looks whether etcd still has a lock. @param gone called when it certainly has it no more */
  readonly whenGone: (lock: ClusterLock, gone: () => void) => void;
  readonly loop: Pick<EventLoop, "after">;
  /** Whether a process lives; also where that cannot be told. */
  readonly lives: (pid: number, start: number) => boolean;
  readonly lastWrites: LastWrites;
}

/**
 * Who may have a lock of which the daemon knows nothing: the process alone that its record names, or others
 * of this host too, of which nothing tells.
 */
export type OrphanUse = "alone" | "shared";

/**
 * Who may have a lock of which the daemon knows nothing. A share that a daemon of its own lineage has taken
 * was granted to nobody: others of this host get a share only when it was, and then the daemon knew of them.
 */
export function orphanUse(
  { keys, lineage }: {
    readonly keys: Pick<ClusterKeys, "isShare">;
    readonly lineage: Pick<Lineage, "wrote">;
  },
  key: string,
  holder: LockHolder,
): OrphanUse {
  return keys.isShare(key) && !lineage.wrote(holder) ? "shared" : "alone";
}

interface Orphan {
  readonly lock: ClusterLock;
  readonly holder: LockHolder;
  readonly use: OrphanUse;
  /** What its process was last seen to have open; undefined when it was never looked at. */
  sight: Sight | undefined;
}

/**
 * Locks that etcd has of this host, for processes of which the daemon knows nothing: it was killed in the
 * middle of granting them, or has lost its state once. Each is kept as long as its process lives, for that
 * may be writing, and then until its last writes have landed. A share that others of this host may have
 * stays until a person has freed it: its record names the first process only that had it, and others may
 * write when that has ended.
 */
export class Orphans {
  readonly #parts: OrphansParts;
  readonly #kept = new Map<string, Orphan>();
  #looking = false;
  #giving = 0;

  constructor(parts: OrphansParts) {
    this.#parts = parts;
  }

  /** How many are on their way out: their processes are gone. */
  get leaving(): number {
    const { lives } = this.#parts;
    const gone = [...this.#kept.values()].filter(({ holder, use }) =>
      use === "alone" && !lives(holder.pid, holder.start)
    );
    return this.#giving + gone.length;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Who may have the lock of a key, where it is one of these. */
  useOf(key: string): OrphanUse | undefined {
    return this.#kept.get(key)?.use;
  }

  /** Keeps one. */
  add(lock: ClusterLock, holder: LockHolder, use: OrphanUse): void {
    const look = this.#lookAt(holder);
    this.#kept.set(lock.key, { lock, holder, use, sight: look === "ended" ? undefined : look });
    this.#later(0);
  }

  /**
   * What a process has open; undefined when it is on its way out. Whether it lives is asked behind the look:
   * else another process may have got its pid in between.
   */
  #lookAt({ pid, start }: LockHolder): Sight | "ended" | undefined {
    const { lives, lastWrites } = this.#parts;
    const sight = lastWrites.look(pid);
    return lives(pid, start) ? sight : "ended";
  }

  /**
   * The lock of a key has its owner again, whose process alone has it.
   *
   * @returns the lock; undefined when it is none of these, or another process's, and stays what it is
   */
  take(
    key: string,
    { uuid, pid, start }: Pick<LockHolder, "uuid" | "pid" | "start">,
  ): ClusterLock | undefined {
    const orphan = this.#kept.get(key);
    if (orphan === undefined || orphan.use === "shared" || this.#parts.busy(key)) return undefined;
    const { holder } = orphan;
    if (holder.uuid !== uuid || holder.pid !== pid || holder.start !== start) return undefined;
    this.#kept.delete(key);
    return orphan.lock;
  }

  /** The lock of a key has an owner again. */
  forget(key: string): void {
    this.#kept.delete(key);
  }

  #later(milliseconds: number): void {
    if (this.#looking || this.#kept.size === 0) return;
    this.#looking = true;
    this.#parts.loop.after(milliseconds, () => {
      this.#looking = false;
      this.#look();
      this.#later(LOOK_MS);
    });
  }

  #look(): void {
    const { lastWrites, whenGone } = this.#parts;
    const ended = new Map<Sight, Orphan[]>();
    for (const orphan of [...this.#kept.values()]) {
      if (orphan.use === "shared") {
        whenGone(orphan.lock, () => this.#drop(orphan));
        continue;
      }
      const look = this.#lookAt(orphan.holder);
      if (look !== "ended") orphan.sight = look ?? orphan.sight;
      else {
        const sight = orphan.sight ?? UNSEEN_QEMU;
        ended.set(sight, [...ended.get(sight) ?? [], orphan]);
      }
    }
    for (const [sight, orphans] of ended) {
      lastWrites.judge(sight, ({ kind }) => {
        if (kind === "over") return this.#give(orphans);
        // What cannot be told is asked again, and stays until an administrator gives it up.
        for (const orphan of orphans) whenGone(orphan.lock, () => this.#drop(orphan));
      });
    }
  }

  /** Somebody has freed it. */
  #drop(orphan: Orphan): void {
    const { key } = orphan.lock;
    if (this.#kept.get(key) === orphan) this.#kept.delete(key);
  }

  #give(orphans: readonly Orphan[]): void {
    for (const orphan of orphans) {
      const { key } = orphan.lock;
      // What is under way may find that it has got this very record: then it is somebody's.
      if (this.#kept.get(key) !== orphan || this.#parts.busy(key)) continue;
      this.#kept.delete(key);
      // Its owner may have got it again meanwhile: then it is another record, and nothing is given back.
      this.#giving++;
      this.#parts.give(orphan.lock, () => void this.#giving--);
    }
  }
}
