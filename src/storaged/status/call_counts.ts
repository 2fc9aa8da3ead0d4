/** How often a procedure was called, and with what success. */
export interface CallCount {
  readonly procedure: string;
  calls: number;
  failures: number;
  /** Milliseconds that all calls together took. */
  milliseconds: number;
}

/** Counts the calls of clients, by procedure. */
export class CallCounts {
  readonly #counts = new Map<string, CallCount>();

  /** @param code 0 for success; `milliseconds` from dispatch to reply */
  served(procedure: string, code: number, milliseconds: number): void {
    let count = this.#counts.get(procedure);
    if (count === undefined) {
      count = { procedure, calls: 0, failures: 0, milliseconds: 0 };
      this.#counts.set(procedure, count);
    }
    count.calls++;
    count.milliseconds += milliseconds;
    if (code !== 0) count.failures++;
  }

  /** In the order in which the procedures were first called. */
  get all(): readonly CallCount[] {
    return [...this.#counts.values()];
  }
}
