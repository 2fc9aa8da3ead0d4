/** Has what is done to one key done one after the other. */
export class KeyQueues {
  /** What is still to be done to a key, the first of it under way. */
  readonly #queues = new Map<string, (() => void)[]>();
  /** How many things were begun with any key. */
  #begun = 0;

  /** undefined while something is being done; another number each time when something was done since. */
  get rest(): number | undefined {
    return this.#queues.size === 0 ? this.#begun : undefined;
  }

  /** Whether something is being done to a key. */
  busy(key: string): boolean {
    return this.#queues.has(key);
  }

  /** @param task is begun when nothing else is done to the key, and calls `end` when it is over */
  add(key: string, task: (end: () => void) => void): void {
    this.#begun++;
    const queue = this.#queues.get(key);
    const run = () =>
      task(() => {
        const tasks = this.#queues.get(key);
        tasks?.shift();
        const following = tasks?.[0];
        if (following === undefined) this.#queues.delete(key);
        else following();
      });
    if (queue !== undefined) {
      queue.push(run);
      return;
    }
    this.#queues.set(key, [run]);
    run();
  }
}
