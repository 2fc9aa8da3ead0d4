import { readStart } from "./read_file.ts";
import type { FileSys, ProcessSys } from "./sys.ts";

// In which pid namespace a process is: pid_namespaces(7); NSpid in proc_pid_status(5).

/** The kernel's number of the initial pid namespace (PROC_PID_INIT_INO, linux/proc_ns.h). */
const INITIAL = "4026531836";

/** Whether this process is in the initial pid namespace, which sees all others. */
export function isInitialNamespace(sys: Pick<FileSys, "readlink">): boolean {
  return sys.readlink("/proc/self/ns/pid") === `pid:[${INITIAL}]`;
}

/** The kernel's number of a process's pid namespace; undefined when that is not shown. */
export function namespaceOf(sys: Pick<FileSys, "readlink">, pid: number): string | undefined {
  return /^pid:\[(\d+)\]$/.exec(String(sys.readlink(`/proc/${pid}/ns/pid`)))?.[1];
}

/** The file that tells {@link pidsOf}, for messages. */
export function pidsFile(pid: number): string {
  return `/proc/${pid}/status`;
}

/**
 * What a process is called in each namespace from the one of /proc inwards.
 *
 * @returns undefined when that is not shown, or -errno
 */
export function pidsOf(
  sys: Pick<FileSys, "open" | "read" | "close">,
  pid: number,
): readonly number[] | undefined | number {
  const status = readStart(sys, pidsFile(pid));
  if (typeof status === "number") return status;
  return /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/).map(Number);
}

/**
 * Whether /proc is that of this process's own namespace: in another one's the numbers are other processes'.
 *
 * @returns -errno when it cannot be told
 */
export function isOwnProc(sys: Pick<FileSys, "readlink"> & Pick<ProcessSys, "pid">): boolean | number {
  const self = sys.readlink("/proc/self");
  return typeof self === "number" ? self : self === String(sys.pid());
}
