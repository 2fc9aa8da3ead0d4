import type { EventLoop, Timer } from "../../../chassis/event/event_loop.ts";

/** What a limit counts with. */
export interface AskLimitParts {
  readonly loop: Pick<EventLoop, "after">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
}

/**
 * How long somebody who asks for a lock waits for etcd, over all that it is asked. Waiting for another host
 * is no part of that, as long as etcd answers.
 *
 * A question that etcd does not answer has its full time all the same, and what comes of it goes on behind
 * the refusal. One that is given up early has an unknown outcome, which costs all guests of the host a bump:
 * that one guest is impatient must not do that to the others.
 */
export class AskLimit {
  readonly #parts: AskLimitParts;
  #until: number;
  /** What is left while it stands still. */
  #kept: number | undefined;
  #over = false;
  #told: (() => void) | undefined;
  #timer: Timer | undefined;

  /** @param milliseconds from now on */
  constructor(parts: AskLimitParts, milliseconds: number) {
    this.#parts = parts;
    this.#until = parts.clock() + milliseconds;
  }

  /** Milliseconds that are left. */
  get left(): number {
    return this.#over ? 0 : this.#kept ?? Math.max(0, this.#until - this.#parts.clock());
  }

  /** Until when that is, by the monotonic clock, if nobody else is waited for. */
  get until(): number {
    return this.#parts.clock() + this.left;
  }

  /** Whether who asks was told that it is over: nothing is done for him any more. */
  get over(): boolean {
    return this.#over;
  }

  /**
   * Calls `told` when it is over, behind this function's return.
   *
   * @returns has it not be called any more
   */
  whenOver(told: () => void): () => void {
    this.#told = told;
    this.#begin();
    return () => {
      this.#told = undefined;
      this.#timer?.cancel();
    };
  }

  /** Stands still: another host is waited for. */
  stop(): void {
    this.#kept = this.left;
    this.#timer?.cancel();
  }

  /** Runs, on or anew. @param left what is left now: for etcd has answered, or was not asked */
  run(left: number = this.left): void {
    if (this.#over) return;
    this.#kept = undefined;
    this.#until = this.#parts.clock() + left;
    this.#begin();
  }

  #begin(): void {
    this.#timer?.cancel();
    if (this.#told === undefined || this.#kept !== undefined) return;
    this.#timer = this.#parts.loop.after(this.left, () => {
      this.#over = true;
      this.#told?.();
    });
  }
}
