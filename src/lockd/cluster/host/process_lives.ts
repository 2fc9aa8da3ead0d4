import { ESRCH } from "../../../os/errno.ts";
import { readProcess } from "../../../os/process_state.ts";
import type { FileSys } from "../../../os/sys.ts";

/**
 * Whether a process may be alive. It counts as gone only when the kernel says that there is none of its
 * number, or another one: what cannot be told, as for lack of memory, must free no lock.
 *
 * @param pid as the daemon sees it; 0 when there is none
 * @param start its start time in clock ticks since boot; 0 when unknown
 */
export function mayLive(sys: Pick<FileSys, "open" | "read" | "close">, pid: number, start: number): boolean {
  if (pid === 0 || start === 0) return true;
  const state = readProcess(sys, pid);
  return typeof state === "number" ? state !== -ESRCH : state.startTime === start;
}
