import type { FileSys } from "../../os/sys.ts";
import type { LockKind } from "./lock_file.ts";
import { readSmallFile } from "../../os/read_file.ts";

/** A lock as the kernel shows it of a descriptor. */
export interface ShownLock {
  readonly kind: LockKind;
  readonly shared: boolean;
}

/**
 * Locks that this process holds through a descriptor, without asking the file's storage. proc_pid_fdinfo(5),
 * `lock:`.
 */
export function shownLocks(sys: Pick<FileSys, "open" | "read" | "close">, fd: number): ShownLock[] {
  const info = readSmallFile(sys, `/proc/self/fdinfo/${fd}`) ?? "";
  return [...info.matchAll(/^lock:.*\b(OFDLCK|POSIX)\b.*\b(READ|WRITE)\b/gm)].map(([, kind, type]) => {
    return { kind: kind === "OFDLCK" ? "ofd" : "posix", shared: type === "READ" };
  });
}
