import type { EventLoop, Timer } from "../../chassis/event/event_loop.ts";
import type { Resource } from "./resource.ts";

/** An ask for a lock that waits for the lock's owners, who are gone. */
interface WaitingAsk {
  readonly again: () => void;
  readonly late: () => void;
  readonly timer: Timer;
}

/**
 * Asks for locks of which every owner is on its way out: who asks is not told "busy", because a guest is
 * started again right after it was destroyed, and comes back to its old host at once when its migration
 * fails.
 */
export class WaitingAsks {
  readonly #loop: Pick<EventLoop, "after" | "defer">;
  readonly #asks = new Map<Resource, Set<WaitingAsk>>();
  #ended = false;

  constructor(loop: Pick<EventLoop, "after" | "defer">) {
    this.#loop = loop;
  }

  /**
   * Waits for a change of a resource.
   *
   * @param milliseconds how long at most
   * @param again called when something has changed
   * @param late called when nothing has in time; one of the two is called, once
   */
  add(resource: Resource, milliseconds: number, again: () => void, late: () => void): void {
    if (this.#ended) return late();
    const asks = this.#asks.get(resource) ?? new Set();
    this.#asks.set(resource, asks);
    const ask: WaitingAsk = {
      again,
      late,
      timer: this.#loop.after(milliseconds, () => {
        asks.delete(ask);
        if (asks.size === 0) this.#asks.delete(resource);
        late();
      }),
    };
    asks.add(ask);
  }

  /** Nobody waits from now on: the daemon ends, and whoever it serves keeps it from that. */
  end(): void {
    this.#ended = true;
    const asks = [...this.#asks.values()].flatMap((waiting) => [...waiting]);
    this.#asks.clear();
    for (const { timer, late } of asks) {
      timer.cancel();
      late();
    }
  }

  /** An owner was taken off a resource: whoever waits for it asks again, in the order in which they came. */
  wake(resource: Resource): void {
    const asks = this.#asks.get(resource);
    if (asks === undefined) return;
    this.#asks.delete(resource);
    for (const { timer } of asks) timer.cancel();
    // Behind all that belongs to the change.
    this.#loop.defer(() => {
      for (const { again } of asks) again();
    });
  }
}
