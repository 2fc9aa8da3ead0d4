import { EventLoop } from "../../src/chassis/event/event_loop.ts";
import { DescriptorLedger } from "../../src/os/ledger.ts";
import type { Sys } from "../../src/os/sys.ts";
import { kernel } from "./kernel.ts";

/** What a look at the clock takes, in ms: a loop that polls for some time has to see it pass. */
const LOOK_MS = 0.001;

/** An event loop over the real kernel with a clock that only the test moves: this machine may stand still. */
export class MovedLoop implements Disposable {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger = new DescriptorLedger(kernel);
  #ahead = 0;

  /** @param replaced calls of the kernel that the test replaces */
  constructor(replaced: Partial<Sys> = {}) {
    let now = kernel.monotonic();
    this.sys = { ...kernel, ...replaced, monotonic: () => (now += LOOK_MS) + this.#ahead };
    this.loop = new EventLoop(this.sys);
  }

  /** Milliseconds that have gone by. */
  get ahead(): number {
    return this.#ahead;
  }

  /** Serves until nothing is left to do. */
  turn(): void {
    for (let quiet = 0; quiet < 3;) quiet = this.loop.turn(0) > 0 ? 0 : quiet + 1;
  }

  /** Lets time go by: what is due runs. */
  wait(milliseconds: number): void {
    // Set before the clock goes on, so that the kernel's timer fires now.
    this.loop.after(0, () => {});
    this.#ahead += milliseconds;
    kernel.pollReadable(this.loop.descriptors[1] as number, 1000);
    this.turn();
  }

  [Symbol.dispose](): void {
    this.loop.close();
  }
}
