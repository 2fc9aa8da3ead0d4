import type { Sys } from "../../src/os/sys.ts";

/** A kernel whose time stands still: no limit is over, however long a program takes on this machine. */
export function standingTime(sys: Sys): Sys {
  let now = sys.monotonic();
  // A loop that polls for some time has to see it pass.
  return { ...sys, monotonic: () => now += 0.001 };
}
