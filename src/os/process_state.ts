import { EIO, ENOENT, ESRCH } from "./errno.ts";
import { readFileText, readSmallFile, readStart } from "./read_file.ts";
import type { FileSys } from "./sys.ts";

const PF_EXITING = 0x4;

/** What /proc/PID/stat tells of a process. */
export interface ProcessState {
  /**
   * Whether it is on its way out (its descriptors are being closed), a zombie or dead. Other threads of one
   * whose first thread has ended may run on.
   */
  readonly exiting: boolean;
  /** Whether a signal has stopped it, until another one lets it go on. */
  readonly stopped: boolean;
  /** Start time in clock ticks since boot: with the pid it names one process for ever. */
  readonly startTime: number;
}

type ReadSys = Pick<FileSys, "open" | "read" | "close">;

/**
 * The fields of a text of /proc/PID/stat from the third on, the state. The second one is the command, in
 * parentheses, which may itself hold spaces and parentheses.
 */
export function statFields(text: string): string[] {
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Processes that the first thread of a process has started and that are still there. */
export function childrenOf(sys: Pick<FileSys, "open" | "pread" | "close">, pid: number): number[] {
  const text = readFileText(sys, `/proc/${pid}/task/${pid}/children`) ?? "";
  return text.split(" ").filter((word) => word !== "").map(Number);
}

/**
 * Reads /proc/PID/stat (proc(5)).
 *
 * @returns -ESRCH when there is no such process; another -errno when that cannot be told
 */
export function readProcess(sys: ReadSys, pid: number): ProcessState | number {
  const text = readStart(sys, `/proc/${pid}/stat`);
  if (typeof text === "number") return text === -ENOENT ? -ESRCH : text;
  const fields = statFields(text);
  const [state, , , , , , flags] = fields;
  const exiting = state === "Z" || state === "X" || (Number(flags) & PF_EXITING) !== 0;
  const startTime = Number(fields[19]);
  return Number.isInteger(startTime) ? { exiting, stopped: state === "T", startTime } : -EIO;
}

/** The same; undefined when there is no such process, or it cannot be told. */
export function processState(sys: ReadSys, pid: number): ProcessState | undefined {
  const state = readProcess(sys, pid);
  return typeof state === "number" ? undefined : state;
}

/** The process that has started this one, or has taken it over since; undefined when it cannot be told. */
export function parentOf(sys: ReadSys): number | undefined {
  const text = readSmallFile(sys, "/proc/self/stat");
  const [, parent] = text === undefined ? [] : statFields(text);
  return parent === undefined ? undefined : Number(parent);
}

/**
 * Where the stack of a process begins: another address for each program that it executes. 0 when it is gone
 * or may not be seen.
 */
export function stackStart(sys: Pick<FileSys, "open" | "read" | "close">, pid: number): number {
  const fields = statFields(readSmallFile(sys, `/proc/${pid}/stat`) ?? "");
  return Number(fields[25] ?? 0);
}

/** Command name of a process (/proc/PID/comm), "" when it is gone. */
export function processCommand(sys: Pick<FileSys, "open" | "read" | "close">, pid: number): string {
  return readSmallFile(sys, `/proc/${pid}/comm`)?.trim() ?? "";
}
