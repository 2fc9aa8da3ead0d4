import { strerror } from "../../src/os/errno.ts";
import type { Sys } from "../../src/os/sys.ts";
import { THOROUGH } from "../support/every_step.ts";
import { plausible } from "./errnos.ts";
import type { Fault } from "./fault_sys.ts";

/** A call that is made less often than this fails twice each time. */
const SELDOM = 4;

/** What was found on one path: a line of JSON from the process that runs the daemon to the test. */
export interface PathResult {
  readonly path: string;
  /** Faults that came up. */
  faults: number;
  readonly problems: string[];
}

/**
 * Every fault that is to be tried. In a thorough run each call fails with everything that it may fail with.
 * Otherwise it fails with the next of these each time that it is made, as most of what is shown is shown by
 * any of them: none of its places is left out.
 *
 * @param most of a call that is made over and over, the first so many
 * @param except errnos that mean something else here
 */
export function everyFault(
  counts: ReadonlyMap<keyof Sys, number>,
  most: number,
  except: readonly number[] = [],
): Fault[] {
  return [...counts].flatMap(([call, count]) => {
    const errnos = plausible(call).filter((errno) => !except.includes(errno));
    const each = Math.min(errnos.length, THOROUGH ? Infinity : count < SELDOM ? 2 : 1);
    return Array.from({ length: Math.min(count, most) * each }, (_, index): Fault => ({
      call,
      nth: Math.floor(index / each) + 1,
      errno: errnos[index % errnos.length] as number,
    }));
  });
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
