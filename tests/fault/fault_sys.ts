import { F_DUPFD_CLOEXEC } from "../../src/os/constants.ts";
import type { Sys } from "../../src/os/sys.ts";

/** A call that fails once. */
export interface Fault {
  readonly call: keyof Sys;
  /** Which one since arming, from 1. */
  readonly nth: number;
  /** Positive. */
  readonly errno: number;
}

type Call = (...args: never[]) => unknown;

const OPENING: readonly (keyof Sys)[] = [
  "open",
  "socket",
  "socketPair",
  "accept",
  "peerPidfd",
  "epollCreate",
  "signalfd",
  "timerCreate",
  "eventfd",
  "inotify",
  "pipe",
  "pidfdOpen",
  "memfd",
];

/** A kernel that counts calls, knows which descriptors are open, and fails one call when it is told to. */
export class FaultSys {
  /** What the daemon gets. */
  readonly sys: Sys;
  readonly #real: Sys;
  readonly #calls = new Map<PropertyKey, Call>();
  readonly #open = new Map<number, keyof Sys>();
  #counts = new Map<keyof Sys, number>();
  #fault: Fault | undefined;
  #counting = false;
  #fired = false;

  /** @param spared a call with these arguments is neither counted nor failed */
  constructor(real: Sys, spared: (call: keyof Sys, args: readonly unknown[]) => boolean) {
    this.#real = real;
    this.sys = new Proxy(real, {
      get: (target, name) => {
        let wrapped = this.#calls.get(name);
        if (wrapped === undefined) {
          wrapped = this.#wrap(name as keyof Sys, Reflect.get(target, name), spared);
          this.#calls.set(name, wrapped);
        }
        return wrapped;
      },
    });
  }

  /** Open descriptors with the calls that made them. */
  get open(): ReadonlyMap<number, keyof Sys> {
    return this.#open;
  }

  /** Counts calls from now on, and fails one of them. */
  arm(fault?: Fault): void {
    this.#fault = fault;
    this.#counts = new Map();
    this.#counting = true;
    this.#fired = false;
  }

  /** Ends what {@link arm} began. @returns how often each call was made, and whether the fault came up */
  disarm(): { counts: ReadonlyMap<keyof Sys, number>; fired: boolean } {
    this.#counting = false;
    this.#fault = undefined;
    return { counts: this.#counts, fired: this.#fired };
  }

  /** Closes what a process would lose: all descriptors, or those that an exec closes. */
  closeAll(keep: (fd: number) => boolean = () => false): void {
    for (const fd of [...this.#open.keys()]) if (!keep(fd)) this.#close(fd);
  }

  #wrap(name: keyof Sys, call: Call, spared: (call: keyof Sys, args: readonly unknown[]) => boolean): Call {
    return (...args) => {
      if (this.#counting && !spared(name, args)) {
        const count = (this.#counts.get(name) ?? 0) + 1;
        this.#counts.set(name, count);
        const fault = this.#fault;
        if (fault?.call === name && fault.nth === count) {
          this.#fired = true;
          // Linux closes the descriptor even when close(2) fails.
          if (name === "close") this.#close(Number(args[0]));
          return -fault.errno;
        }
      }
      if (name === "close") return this.#close(Number(args[0]));
      const result = Reflect.apply(call, this.#real, args);
      this.#note(name, args, result);
      return result;
    };
  }

  #close(fd: number): number {
    this.#open.delete(fd);
    return this.#real.close(fd);
  }

  #note(name: keyof Sys, args: readonly unknown[], result: unknown): void {
    const opened = OPENING.includes(name) || (name === "fcntl" && args[1] === F_DUPFD_CLOEXEC);
    if (
      name === "receiveMessage" && typeof result === "object" && result !== null && "descriptors" in result
    ) {
      for (const fd of result.descriptors as number[]) this.#open.set(fd, name);
    }
    if (!opened) return;
    for (const fd of Array.isArray(result) ? result : [result]) {
      if (typeof fd === "number" && fd >= 0) this.#open.set(fd, name);
    }
  }
}
