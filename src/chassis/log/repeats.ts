/**
 * After the first of its kind the others are told together after so long, in ms; then after twice as long.
 */
const FIRST_INTERVAL = 10_000;
const LONGEST_INTERVAL = 600_000;
/**
 * Kinds that are counted at once. What is more is counted together: neither memory nor the log is to grow
 * with what clients do.
 */
const MOST_KINDS = 1000;
/** The kind of what is more. */
const OTHERS = Symbol("others");

/** What is known of one kind. */
interface Kind {
  /** How often it came since it was last told. */
  count: number;
  interval: number;
  /** Tells the newest of them. */
  tell: (again: string) => void;
}

/**
 * Keeps what repeats from filling the log: the first of a kind is told at once, the others are counted and
 * told as a number, at intervals that grow.
 */
export class Repeats {
  readonly #after: (milliseconds: number, task: () => void) => unknown;
  readonly #kinds = new Map<string | typeof OTHERS, Kind>();

  /** @param after runs a task once, so many ms from now */
  constructor(after: (milliseconds: number, task: () => void) => unknown) {
    this.#after = after;
  }

  /**
   * It has happened.
   *
   * @param kind what counts as the same
   * @param tell writes it to the log, with a text that goes behind it: "" the first time
   */
  happened(kind: string, tell: (again: string) => void): void {
    const full = this.#kinds.size >= MOST_KINDS && !this.#kinds.has(kind);
    this.#happened(full ? OTHERS : kind, tell);
  }

  #happened(kind: string | typeof OTHERS, tell: (again: string) => void): void {
    const known = this.#kinds.get(kind);
    if (known !== undefined) {
      known.count++;
      known.tell = tell;
      return;
    }
    tell("");
    const added = { count: 0, interval: FIRST_INTERVAL, tell };
    this.#kinds.set(kind, added);
    this.#wait(kind, added);
  }

  #wait(kind: string | typeof OTHERS, known: Kind): void {
    this.#after(known.interval, () => {
      const { count, interval, tell } = known;
      if (count === 0) {
        this.#kinds.delete(kind);
        return;
      }
      const times = count === 1 ? "once" : `${count} times`;
      tell(
        ` (${kind === OTHERS ? "this or another of its like " : ""}${times} more in ${interval / 1000} s)`,
      );
      known.count = 0;
      known.interval = Math.min(LONGEST_INTERVAL, interval * 2);
      this.#wait(kind, known);
    });
  }
}
