import type { EventLoop, Timer } from "../../../chassis/event/event_loop.ts";
import type { Epoch } from "../keys/transactions.ts";

/** How often whoever waits looks whether that is of use still, in ms. */
const WAIT_STEP_MS = 1000;

/** Whether changes can be made now. */
export type Readiness =
  | { readonly kind: "ready"; readonly epoch: Epoch }
  /** Things can be given back, and nothing be taken. */
  | { readonly kind: "closed"; readonly epoch: Epoch; readonly reason: string }
  /** Not now; `hopeless` that nobody is to be kept waiting who has not all the time in the world. */
  | { readonly kind: "wait"; readonly hopeless: boolean; readonly reason: string }
  /** Not before a person has looked. */
  | { readonly kind: "never"; readonly reason: string };

/** What waiters need. */
export interface SessionWaitersParts {
  readonly loop: Pick<EventLoop, "after">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly readiness: () => Readiness;
}

interface Waiter {
  /** Until when, by the monotonic clock; Infinity: as long as it takes. */
  readonly until: number;
  readonly ready: (epoch: Epoch) => void;
  readonly failed: (reason: string) => void;
  readonly timer: Timer | undefined;
}

/** Those who want to change something in etcd, and wait until this host may. */
export class SessionWaiters {
  readonly #parts: SessionWaitersParts;
  readonly #waiters = new Set<Waiter>();

  constructor(parts: SessionWaitersParts) {
    this.#parts = parts;
  }

  /**
   * Calls `ready` as soon as changes can be made, perhaps at once; `failed` when that is not within the
   * limit, or waiting is hopeless.
   *
   * @param until by the monotonic clock; Infinity: for whoever gives something back, waits as long as that
   *   takes, and is only told when it is never
   */
  add(until: number, ready: (epoch: Epoch) => void, failed: (reason: string) => void): void {
    const { loop, clock, readiness } = this.#parts;
    const now = readiness();
    if (now.kind === "ready") return ready(now.epoch);
    if (now.kind === "never") return failed(now.reason);
    if (now.kind === "closed") return until === Infinity ? ready(now.epoch) : failed(now.reason);
    if (until === Infinity) {
      this.#waiters.add({ until, ready, failed, timer: undefined });
      return;
    }
    const left = until - clock();
    if (left <= 0 || now.hopeless) return failed(now.reason);
    // Looked at again from time to time: it may be hopeless by then.
    const timer = loop.after(Math.min(left, WAIT_STEP_MS), () => {
      this.#waiters.delete(waiter);
      this.add(until, ready, failed);
    });
    const waiter: Waiter = { until, ready, failed, timer };
    this.#waiters.add(waiter);
  }

  /** Things have changed. One waiter may find that changes cannot be made again: the others wait on. */
  wake(): void {
    for (const { until, ready, failed } of this.#take()) this.add(until, ready, failed);
  }

  /** Nobody is told any more. */
  drop(): void {
    this.#take();
  }

  #take(): readonly Waiter[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const { timer } of waiters) timer?.cancel();
    return waiters;
  }
}
