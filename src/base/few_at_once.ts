/** Has a few things go on at a time; what comes besides is begun, in order, when one of them is over. */
export class FewAtOnce {
  readonly #most: number;
  readonly #waiting: ((over: () => void) => void)[] = [];
  #under = 0;
  #beginning = false;

  constructor(most: number) {
    this.#most = most;
  }

  /** @param task calls `over` once, perhaps before it returns */
  run(task: (over: () => void) => void): void {
    this.#waiting.push(task);
    this.#begin();
  }

  /** Not one from within the end of another: thousands may be over at once. */
  #begin(): void {
    if (this.#beginning) return;
    this.#beginning = true;
    while (this.#under < this.#most) {
      const task = this.#waiting.shift();
      if (task === undefined) break;
      this.#under++;
      task(() => {
        this.#under--;
        this.#begin();
      });
    }
    this.#beginning = false;
  }
}
