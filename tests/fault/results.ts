import { strerror } from "../../src/os/errno.ts";
import type { Sys } from "../../src/os/sys.ts";
import { plausible } from "./errnos.ts";
import type { Fault } from "./fault_sys.ts";

/** What was found on one path: a line of JSON from the process that runs the daemon to the test. */
export interface PathResult {
  readonly path: string;
  /** Faults that came up. */
  faults: number;
  readonly problems: string[];
}

/** Every fault that is to be tried. @param most of a call that is made over and over, the first so many */
export function everyFault(counts: ReadonlyMap<keyof Sys, number>, most: number): Fault[] {
  return [...counts].flatMap(([call, count]) =>
    Array.from({ length: Math.min(count, most) }, (_, index) => index + 1)
      .flatMap((nth) => plausible(call).map((errno) => ({ call, nth, errno })))
  );
}

/** A fault, for a problem's text. */
export function describe({ call, nth, errno }: Fault): string {
  return `${call} #${nth} fails with '${strerror(errno)}'`;
}

/** Runs what is wanted of some paths, all of them without a name, and tells a line for each. */
export function tellResults(
  runs: readonly (readonly [name: string, run: () => PathResult])[],
  wanted: readonly string[],
): void {
  for (const [name, run] of runs) {
    if (wanted.length === 0 || wanted.includes(name)) console.log(JSON.stringify(run()));
  }
}
