import { descriptorInfo } from "./descriptor_info.ts";
import type { FileSys } from "./sys.ts";

/** A lock as the kernel shows it of a descriptor. */
export interface ShownLock {
  /** Of the open file description, or of the process. */
  readonly kind: "ofd" | "posix";
  readonly shared: boolean;
}

/**
 * Locks that this process holds through a descriptor, without asking the file's storage. proc_pid_fdinfo(5),
 * `lock:`.
 */
export function shownLocks(sys: Pick<FileSys, "open" | "read" | "close">, fd: number): ShownLock[] {
  const info = descriptorInfo(sys, "self", fd) ?? "";
  return [...info.matchAll(/^lock:.*\b(OFDLCK|POSIX)\b.*\b(READ|WRITE)\b/gm)].map(([, kind, type]) => {
    return { kind: kind === "OFDLCK" ? "ofd" : "posix", shared: type === "READ" };
  });
}

/**
 * One line of /proc/locks, or what follows `lock:` in fdinfo: a POSIX or open-file-description lock that
 * covers byte `at`.
 *
 * @returns undefined for another kind of lock, a waiting request, or another range
 */
export function parseLock(line: string, at: number): { pid: number; file: string } | undefined {
  // 1: OFDLCK ADVISORY  WRITE -1 00:3b:2171686 0 0
  const [, type, , , pid, file = "", start, end] = line.trim().split(/\s+/);
  if (type !== "OFDLCK" && type !== "POSIX") return undefined;
  if (Number(start) > at || (end !== "EOF" && Number(end) < at)) return undefined;
  return { pid: Number(pid), file };
}

/** The locks that fdinfo shows of a descriptor and that cover byte `at`. */
export function locksIn(info: string, at: number): readonly { pid: number; file: string }[] {
  if (!info.includes("lock:")) return [];
  return info.split("\n").flatMap((line) => {
    const lock = line.startsWith("lock:") ? parseLock(line.slice("lock:".length), at) : undefined;
    return lock === undefined ? [] : [lock];
  });
}
