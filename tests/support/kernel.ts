import { F_UNLCK, F_WRLCK, O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import { ENOENT } from "../../src/os/errno.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { must, SystemError } from "../../src/os/system_error.ts";

/** The real kernel, for the test's own process. */
export const kernel = linuxSys();

/** What another process sees of the lock on byte 0 of a file. */
export interface LockOnFile {
  readonly mode: "exclusive" | "shared" | "none";
  /** Holder's pid, -1 for an open-file-description lock, 0 without a lock. */
  readonly pid: number;
}

/**
 * Asks the kernel, from outside the daemon, who keeps others from locking a file (F_OFD_GETLK). @throws
 * SystemError
 */
export function lockOn(path: string): LockOnFile {
  const fd = must(kernel.open(path, O_RDWR | O_CLOEXEC, 0), "open", path);
  const found = { type: F_UNLCK, pid: 0 };
  const result = kernel.ofdProbe(fd, F_WRLCK, 0, 1, found);
  kernel.close(fd);
  must(result, "F_OFD_GETLK", path);
  if (found.type === F_UNLCK) return { mode: "none", pid: 0 };
  return { mode: found.type === F_WRLCK ? "exclusive" : "shared", pid: found.pid };
}

/** Whether nobody locks a file, or it is not there. */
export function isFree(path: string): boolean {
  try {
    return lockOn(path).mode === "none";
  } catch (error) {
    if (error instanceof SystemError && error.errno === ENOENT) return true;
    throw error;
  }
}

/** Inode numbers of the locked files, as /proc/locks shows them, once for each lock. */
export function lockedInodes(): number[] {
  return [...lockList().matchAll(/^\d+: \w+ +\w+ +\w+ +-?\d+ \w+:\w+:(\d+) /gm)]
    .map(([, inode]) => Number(inode));
}

/**
 * All that /proc/locks shows, as it was at one moment.
 *
 * The kernel shows it a page at a time, and what others lock and unlock between two pages may hide a line or
 * show it twice. So it is only believed when two readings in turn are the same.
 */
function lockList(): string {
  const read = () => Deno.readTextFileSync("/proc/locks");
  for (let before = read(), tries = 0; tries < 10_000; tries++) {
    const list = read();
    if (list === before) return list;
    before = list;
  }
  throw new Error("Cannot read /proc/locks: it never was the same twice");
}
