import type { ChangedMark } from "../keys/transactions.ts";

/**
 * A try to get a lock that has told paused guests of it, or is about to, and of which nobody was told that it
 * came to anything, or whose guest was refused another lock: it has not run with that lock.
 */
export interface UngrantedTry {
  /** The lock's record, which no other try has. */
  readonly value: string;
  /** What paused guests are told by it. */
  readonly changed: readonly ChangedMark[];
}

/**
 * Such tries of this daemon and of those of its lineage before it. Each is in the journal before etcd is
 * asked, and not any more when the lock is granted. So one that is there is certain, also after a kill; one
 * that is not there says nothing, and what paused guests were told counts.
 */
export class UngrantedTries {
  readonly #changed: Map<string, readonly ChangedMark[]>;
  readonly #record: () => void;

  /**
   * @param before of earlier daemons, of which this one goes on with all that they knew
   * @param record has {@link all} written into the journal, before what is recorded next
   */
  constructor(before: readonly UngrantedTry[], record: () => void) {
    this.#changed = new Map(before.map(({ value, changed }) => [value, changed]));
    this.#record = record;
  }

  get all(): UngrantedTry[] {
    return [...this.#changed].map(([value, changed]) => ({ value, changed }));
  }

  /** What paused guests were told by a try, by the lock's record; nothing when it may have been granted. */
  changedBy(value: string): readonly ChangedMark[] {
    return this.#changed.get(value) ?? [];
  }

  /** Whether one of them has told paused guests of a lock. @param prefix of the marks of these */
  anyOf(prefix: string): boolean {
    return this.#changed.values().some((changed) => changed.some(({ key }) => key.startsWith(prefix)));
  }

  /** One is about to begin, or less is to be taken back of it than it has told. */
  put({ value, changed }: UngrantedTry): void {
    if (changed.length === 0) return this.end(value);
    this.#changed.set(value, changed);
    this.#record();
  }

  /** The lock is granted, or is in etcd no more and cannot come. */
  end(value: string): void {
    // Most locks are none of these, and this is asked of each.
    if (this.#changed.size > 0 && this.#changed.delete(value)) this.#record();
  }

  /** All that has come of any of them is in etcd. @param values records of locks that are there */
  found(values: ReadonlySet<string>): void {
    for (const value of [...this.#changed.keys()]) if (!values.has(value)) this.end(value);
  }
}
