import type { Sys } from "../../../src/os/sys.ts";
import { processUsage } from "../../support/process_usage.ts";
import { Client } from "./client.ts";
import { SingleDriver } from "./driver.ts";
import { lockspaceFrame, NumberedFrame, registerFrame, releaseFrame } from "./frames.ts";
import { Latencies } from "./latencies.ts";
import { makeScript, START_OWNER, StartNames } from "./script.ts";
import type { Operation, Target } from "./task.ts";

/** What one slice took, for one operation in microseconds. */
export interface Slice {
  readonly wall: number;
  /** CPU of the daemon. */
  readonly cpu: number;
}

/** One client of a daemon that repeats an operation for some milliseconds at a time. */
export class SlicedLoad {
  readonly #sys: Sys;
  readonly #target: Target;
  readonly #operations: number;
  readonly #names = new StartNames();
  readonly #driver: SingleDriver;
  /** Gives back what starts have taken. */
  readonly #keeper: Client;
  readonly #release: NumberedFrame;
  readonly #latencies = new Latencies();

  /** @param operations of one slice */
  constructor(sys: Sys, target: Target, operation: Operation, operations: number) {
    this.#sys = sys;
    this.#target = target;
    this.#operations = operations;
    this.#keeper = new Client(sys, target.socket);
    this.#keeper.call(lockspaceFrame(target.lockspace));
    this.#keeper.call(registerFrame(START_OWNER));
    this.#release = new NumberedFrame(releaseFrame, target.lockspace);
    this.#driver = new SingleDriver(sys, target.socket, makeScript({ operation }, target, 0, this.#names));
  }

  slice(): Slice {
    const { pid } = this.#target;
    const [cpu, begun] = [processUsage(pid).cpu, this.#sys.monotonic()];
    this.#driver.run(Infinity, this.#operations, this.#latencies);
    const wall = this.#sys.monotonic() - begun;
    const used = processUsage(pid).cpu - cpu;
    this.#latencies.clear();
    const taken = this.#names.reset();
    for (let number = 0; number < taken; number++) this.#keeper.call(this.#release.at(number));
    return { wall: wall / this.#operations * 1000, cpu: used / this.#operations * 1000 };
  }
}
