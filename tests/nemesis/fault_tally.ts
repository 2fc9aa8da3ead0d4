import type { History } from "./history.ts";

/** Events that show that something goes wrong: to be refused what another one has is none of them. */
const TROUBLES = ["unanswered", "slow", "lost", "guest lost", "release refused", "release lost"];

interface Count {
  times: number;
  felt: number;
}

/** How often there was a fault of each kind, and how often guests felt it. */
export class FaultTally {
  readonly #history: History;
  readonly #counts = new Map<string, Count>();

  constructor(history: History) {
    this.#history = history;
  }

  /** A fault begins. @returns to be called when it is over */
  begin(kind: string): () => void {
    const before = this.#troubles();
    return () => {
      const count = this.#counts.get(kind) ?? { times: 0, felt: 0 };
      this.#counts.set(kind, count);
      count.times++;
      if (this.#troubles() > before) count.felt++;
    };
  }

  /** A line for each kind. */
  get lines(): readonly string[] {
    return [...this.#counts].sort(([one], [other]) => one < other ? -1 : 1).map(([kind, { times, felt }]) =>
      `  ${kind.padEnd(32)} ${String(times).padStart(4)} times, felt by a guest ${felt} times`
    );
  }

  #troubles(): number {
    return TROUBLES.reduce((sum, kind) => sum + this.#history.count(kind), 0);
  }
}
