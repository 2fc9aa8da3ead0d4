import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { EPOLLIN } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";

/** A holder whose connection was lost with an earlier daemon, while its process lives on. */
export interface Orphan {
  readonly pid: number;
  /** Start time of the process in clock ticks since boot. */
  readonly start: number;
}

/**
 * Waits for holders without a connection to end. They are not killed: they have done nothing to lose their
 * connection.
 */
export class OrphanHolders {
  readonly #loop: EventLoop;
  readonly #ledger: DescriptorLedger;
  readonly #gone: (pid: number) => void;
  readonly #orphans = new Map<number, Orphan>();

  /** @param gone called when the process of an orphan has ended */
  constructor(loop: EventLoop, ledger: DescriptorLedger, gone: (pid: number) => void) {
    this.#loop = loop;
    this.#ledger = ledger;
    this.#gone = gone;
  }

  /** All that are waited for. */
  get all(): readonly Orphan[] {
    return [...this.#orphans.values()];
  }

  /** @param pidfd becomes this object's */
  watch(orphan: Orphan, pidfd: number): void {
    const { pid } = orphan;
    this.#ledger.own(pidfd, "pidfd");
    this.#orphans.set(pid, orphan);
    this.#loop.add(pidfd, EPOLLIN, () => {
      this.#loop.remove(pidfd);
      this.#ledger.close(pidfd);
      this.#orphans.delete(pid);
      this.#gone(pid);
    });
  }
}
