import { childrenOf, statFields } from "../../os/process_state.ts";
import { readFileText } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";

/** What reading about processes needs of the kernel. */
type ActivitySys = Pick<Sys, "open" | "close" | "pread">;

/** Fields 14 and 15 of /proc/PID/stat, counted behind the name: time of the CPU, in the kernel's ticks. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

/**
 * How far the programs are that a process has started, and theirs: two answers are the same if none of them
 * has read, written or computed anything in between. Where the kernel does not tell of one it seems to rest.
 *
 * To be asked by the process itself: a file of /proc may wait for a program that is just being executed.
 */
export function programActivity(sys: ActivitySys, pid: number): string {
  return childrenOf(sys, pid).map((child) => {
    const moved = readFileText(sys, `/proc/${child}/io`) ?? "";
    const own = `${child} ${processorTime(sys, child)} ${moved}`;
    return own + programActivity(sys, child);
  }).join("");
}

function processorTime(sys: ActivitySys, pid: number): string {
  const text = readFileText(sys, `/proc/${pid}/stat`) ?? "";
  const fields = statFields(text);
  return `${fields[USER_TIME]} ${fields[SYSTEM_TIME]}`;
}

/**
 * How many bytes a process has had moved from and to storage, by what of it the kernel counts: a single call
 * that takes long shows there how it goes on. Safe to ask of a process that hangs, which executes nothing.
 *
 * @returns undefined when the kernel does not tell
 */
export function storageActivity(sys: ActivitySys, pid: number): string | undefined {
  const text = readFileText(sys, `/proc/${pid}/io`);
  return text?.split("\n").filter((line) => /^(?:read|write)_bytes:/.test(line)).join();
}
