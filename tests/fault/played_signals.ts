import { EAGAIN } from "../../src/os/errno.ts";
import type { SignalInfo, Sys } from "../../src/os/sys.ts";
import { kernel } from "../support/kernel.ts";

const EVENTFD_ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** The signals of a daemon that runs in the test's own process, whose real ones are left alone. */
export class PlayedSignals {
  readonly #pending: number[] = [];
  #fd = -1;

  /** What of the kernel is played for this. */
  overrides(): Pick<Sys, "signalfd" | "readSignal" | "unblockSignals" | "ignoreSignals"> {
    return {
      signalfd: () => this.#fd = kernel.eventfd(),
      readSignal: (fd, into) => this.#read(fd, into),
      unblockSignals: () => 0,
      ignoreSignals: () => 0,
    };
  }

  /** Sends the daemon a signal. */
  send(signal: number): void {
    this.#pending.push(signal);
    kernel.write(this.#fd, EVENTFD_ONE);
  }

  /** Forgets what a daemon that ended has not read. */
  clear(): void {
    this.#pending.length = 0;
  }

  #read(fd: number, into: SignalInfo): number {
    const signal = this.#pending.shift();
    if (signal === undefined) {
      kernel.read(fd, new Uint8Array(8));
      return -EAGAIN;
    }
    into.signal = signal;
    return signal;
  }
}
