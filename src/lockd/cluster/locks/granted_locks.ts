import { decodeHolder } from "../keys/lock_holder.ts";
import { readable } from "../keys/record_fields.ts";
import type { ChangedMark, ClusterLock } from "../keys/transactions.ts";
import type { UngrantedTries } from "./ungranted_tries.ts";

/** What etcd has for this host, by the path of the lock file. */
export class GrantedLocks {
  readonly #held = new Map<string, ClusterLock>();
  /** Paths of the same by their keys. */
  readonly #paths = new Map<string, string>();
  /** By path, what paused guests were told when a lock was taken. */
  readonly #changed = new Map<string, readonly ChangedMark[]>();
  readonly #tries: Pick<UngrantedTries, "end">;

  /** @param tries learns of each lock that is granted: that is none of these any more */
  constructor(tries: Pick<UngrantedTries, "end">) {
    this.#tries = tries;
  }

  /** How many locks it is. */
  get count(): number {
    return this.#held.size;
  }

  all(): IterableIterator<[string, ClusterLock]> {
    return this.#held.entries();
  }

  /** What etcd has for a lock file. */
  of(path: string): ClusterLock | undefined {
    return this.#held.get(path);
  }

  /** Whether a lock has a key. */
  holds(key: string): boolean {
    return this.#paths.has(key);
  }

  /** The lock file of a key. */
  pathOf(key: string): string | undefined {
    return this.#paths.get(key);
  }

  /** Of which domain a lock is, by its key; undefined when that is not known. */
  uuidOf(key: string): string | undefined {
    const lock = this.#held.get(this.#paths.get(key) ?? "");
    return lock === undefined ? undefined : readable(() => decodeHolder(lock))?.uuid;
  }

  /** etcd has a lock from before. That its guest has not used it, as far as that is known, stays so. */
  adopt(path: string, lock: ClusterLock): void {
    this.#held.set(path, lock);
    this.#paths.set(lock.key, path);
  }

  /**
   * A lock was taken, or is granted again to a guest that had not used it.
   *
   * @param changed what paused guests were told then
   */
  took(path: string, lock: ClusterLock, changed: readonly ChangedMark[]): void {
    this.adopt(path, lock);
    this.#tries.end(lock.value);
    if (changed.length > 0) this.#changed.set(path, changed);
  }

  /**
   * What paused guests were told when a lock was taken counts from now on, or is taken back.
   *
   * @returns what that was
   */
  used(path: string): readonly ChangedMark[] {
    const changed = this.#changed.get(path) ?? [];
    this.#changed.delete(path);
    return changed;
  }

  /** etcd has a lock for another session. */
  drop(path: string): void {
    this.#paths.delete(this.#held.get(path)?.key ?? "");
    this.#held.delete(path);
  }

  /** A lock is given back, and nothing is to be known of it. */
  forget(path: string): void {
    this.drop(path);
    this.#changed.delete(path);
  }
}
