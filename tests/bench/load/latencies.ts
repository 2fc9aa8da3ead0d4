import type { Latency } from "./task.ts";

/** Collects times from request to reply. */
export class Latencies {
  #values = new Float64Array(1 << 16);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @param milliseconds one operation's time */
  add(milliseconds: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = milliseconds;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Nearest-rank percentiles; zeros when nothing was added. */
  summary(): Latency {
    const sorted = this.#values.subarray(0, this.#count).toSorted();
    const rank = (share: number) => 1000 * (sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
    return { p50: rank(0.5), p99: rank(0.99), max: rank(1) };
  }
}
