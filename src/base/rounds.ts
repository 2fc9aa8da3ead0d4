/** Goes through a list that changes, some at a time, round after round. */
export class Rounds {
  readonly #most: number;
  /** How many have had their turn in this round. */
  #passed = 0;

  /** @param most so many have a turn at once */
  constructor(most: number) {
    this.#most = most;
  }

  /** Those whose turn it is now; behind the last ones the next round begins. */
  next<T>(all: readonly T[]): T[] {
    const from = this.#passed < all.length ? this.#passed : 0;
    const turn = all.slice(from, from + this.#most);
    this.#passed = from + turn.length;
    return turn;
  }
}
