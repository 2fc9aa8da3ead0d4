import { readSmallFile } from "../../os/read_file.ts";
import type { FileSys } from "../../os/sys.ts";

const PF_EXITING = 0x4;

/** What /proc/PID/stat tells of a process. */
export interface ProcessState {
  /** Whether it is on its way out (its descriptors are being closed), a zombie or dead. */
  readonly exiting: boolean;
  /** Start time in clock ticks since boot: with the pid it names one process for ever. */
  readonly startTime: number;
}

/** Reads /proc/PID/stat (proc(5)); undefined when there is no such process. */
export function processState(
  sys: Pick<FileSys, "open" | "read" | "close">,
  pid: number,
): ProcessState | undefined {
  const text = readSmallFile(sys, `/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The command, in parentheses, may itself hold spaces and parentheses: fields are counted from the last
  // one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, , , , , , flags] = fields;
  const exiting = state === "Z" || state === "X" || (Number(flags) & PF_EXITING) !== 0;
  return { exiting, startTime: Number(fields[19]) };
}

/**
 * Where the stack of a process begins: another address for each program that it executes. 0 when it is gone
 * or may not be seen.
 */
export function stackStart(sys: Pick<FileSys, "open" | "read" | "close">, pid: number): number {
  const text = readSmallFile(sys, `/proc/${pid}/stat`) ?? "";
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return Number(fields[25] ?? 0);
}

/** Command name of a process (/proc/PID/comm), "" when it is gone. */
export function processCommand(sys: Pick<FileSys, "open" | "read" | "close">, pid: number): string {
  return readSmallFile(sys, `/proc/${pid}/comm`)?.trim() ?? "";
}
