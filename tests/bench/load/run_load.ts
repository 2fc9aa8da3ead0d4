import type { Sys } from "../../../src/os/sys.ts";
import { processUsage } from "../../support/process_usage.ts";
import { Client } from "./client.ts";
import { type Driver, ManyDriver, SingleDriver } from "./driver.ts";
import { lockspaceFrame, NumberedFrame, registerFrame, releaseFrame } from "./frames.ts";
import { Latencies } from "./latencies.ts";
import { makeScript, START_OWNER, StartNames } from "./script.ts";
import type { LoadResult, LoadTask, Target } from "./task.ts";

/**
 * Guest starts between two pauses in which their locks are given back: bounded by the daemon's descriptors.
 */
const START_BATCH = 1000;

/** Carries a {@link LoadTask} out. */
export function runLoad(sys: Sys, target: Target, task: LoadTask): LoadResult {
  const names = new StartNames();
  const scripts = Array.from({ length: task.clients }, (_, index) => makeScript(task, target, index, names));
  const keeper = new Client(sys, target.socket);
  keeper.call(lockspaceFrame(target.lockspace));
  keeper.call(registerFrame(START_OWNER));
  const [only] = scripts;
  const driver: Driver = scripts.length === 1 && only !== undefined
    ? new SingleDriver(sys, target.socket, only)
    : new ManyDriver(sys, target.socket, scripts);
  const release = new NumberedFrame(releaseFrame, target.lockspace);
  const tidy = () => {
    const taken = names.reset();
    for (let number = 0; number < taken; number++) keeper.call(release.at(number));
  };
  const latencies = new Latencies();
  const most = task.operation === "start" ? START_BATCH : Infinity;
  const measure = (milliseconds: number): Omit<LoadResult, "operations" | "latency"> => {
    let [measured, daemonCpu, loadCpu] = [0, 0, 0];
    latencies.clear();
    while (measured < milliseconds) {
      const daemon = processUsage(target.pid).cpu;
      const self = processUsage("self").cpu;
      const begun = sys.monotonic();
      driver.run(milliseconds - measured, most, latencies);
      measured += sys.monotonic() - begun;
      daemonCpu += processUsage(target.pid).cpu - daemon;
      loadCpu += processUsage("self").cpu - self;
      tidy();
    }
    return { milliseconds: measured, daemonCpu, loadCpu };
  };
  measure(task.warmup);
  const measured = measure(task.milliseconds);
  return { ...measured, operations: latencies.count, latency: latencies.summary() };
}
