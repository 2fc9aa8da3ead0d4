import { O_CLOEXEC, O_PATH, O_RDONLY } from "../../os/constants.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import { emptyStatus } from "../../os/sys.ts";
import {
  type FileIdentity,
  identityOf,
  inodeText,
  procLockText,
  sameFile,
} from "../lockspace/file_identity.ts";
import { processCommand, readSmallFile } from "../lockspace/process_state.ts";
import { readText } from "./proc_text.ts";

/** A search among thousands of processes is given up after this time, in ms. */
export const SCAN_LIMIT_MS = 3000;

/** What the kernel of this host says about the holder of a lock. */
export type LocalHolder =
  | { readonly kind: "process"; readonly pid: number; readonly command: string }
  /** No process of this host has a lock there. */
  | { readonly kind: "absent" }
  /** Some process has it, but it could not be found, in time or at all. */
  | { readonly kind: "unknown" };

type ScanSys =
  & Pick<FileSys, "open" | "close" | "read" | "pread" | "fstat" | "listDirectory">
  & Pick<EventSys, "monotonic">;

/**
 * Finds the process of this host that holds a lock on byte 0 of a file. Opens nothing but /proc and, without
 * reading it, `path`.
 *
 * POSIX locks are named with their pid in /proc/locks; an open-file-description lock is found as the `lock:`
 * line of one of the holder's descriptors. proc_locks(5), proc_pid_fdinfo(5).
 */
export function findLocalHolder(sys: ScanSys, path: string, identity: FileIdentity): LocalHolder {
  const names = lockNames(sys, path, identity);
  const locks = wholeFile(sys, "/proc/locks");
  if (locks === undefined) return { kind: "unknown" };
  const found = locks.split("\n").map(parseLock).filter((lock) => lock !== undefined && names.has(lock.file));
  if (found.length === 0) return { kind: "absent" };
  const posix = found.find((lock) => lock !== undefined && lock.pid > 0);
  if (posix !== undefined) return processHolder(sys, posix.pid);
  const pid = scanProcesses(sys, names, sys.monotonic() + SCAN_LIMIT_MS);
  return pid === undefined ? { kind: "unknown" } : processHolder(sys, pid);
}

/**
 * One line of /proc/locks, or what follows `lock:` in fdinfo: a POSIX or open-file-description lock that
 * covers byte 0.
 *
 * @returns undefined for another kind of lock, a waiting request, or another range
 */
export function parseLock(line: string): { pid: number; file: string } | undefined {
  // 1: OFDLCK ADVISORY  WRITE -1 00:3b:2171686 0 0
  const [, type, , , pid, file = "", start] = line.trim().split(/\s+/);
  if ((type !== "OFDLCK" && type !== "POSIX") || start !== "0") return undefined;
  return { pid: Number(pid), file };
}

function processHolder(sys: ScanSys, pid: number): LocalHolder {
  return { kind: "process", pid, command: processCommand(sys, pid) };
}

/**
 * How the kernel names the file's locks. Its device there is the filesystem's, which for a subvolume of btrfs
 * is another than the file's status shows: that one is found through the mount.
 */
function lockNames(sys: ScanSys, path: string, identity: FileIdentity): ReadonlySet<string> {
  const names = new Set([procLockText(identity)]);
  const fd = sys.open(path, O_PATH | O_CLOEXEC, 0);
  if (fd < 0) return names;
  const status = emptyStatus();
  const same = sys.fstat(fd, status) === 0 && sameFile(identity, identityOf(status));
  const info = same ? readSmallFile(sys, `/proc/self/fdinfo/${fd}`) : undefined;
  sys.close(fd);
  const id = /^mnt_id:\s*(\d+)$/m.exec(info ?? "")?.[1];
  const mounts = id === undefined ? undefined : wholeFile(sys, "/proc/self/mountinfo");
  for (const line of mounts?.split("\n") ?? []) {
    const [mount, , device = ""] = line.split(" ");
    if (mount !== id) continue;
    const [major = NaN, minor = NaN] = device.split(":").map(Number);
    const inode = /^ino:\s*(\d+)$/m.exec(info ?? "")?.[1] ?? inodeText(identity);
    const filesystem = procLockText({ ...identity, devMajor: major, devMinor: minor });
    names.add(filesystem.slice(0, filesystem.lastIndexOf(":") + 1) + inode);
  }
  return names;
}

/** The newest processes first: a service manager that only keeps copies of others' descriptors comes last. */
function scanProcesses(sys: ScanSys, names: ReadonlySet<string>, deadline: number): number | undefined {
  const processes = sys.listDirectory("/proc");
  if (typeof processes === "number") return undefined;
  const pids = processes.map(Number).filter(Number.isInteger).sort((a, b) => b - a);
  for (const pid of pids) {
    const directory = `/proc/${pid}/fdinfo`;
    const descriptors = sys.listDirectory(directory);
    // It has ended, or is another user's.
    if (typeof descriptors === "number") continue;
    for (const descriptor of descriptors) {
      if (sys.monotonic() > deadline) return undefined;
      const info = readSmallFile(sys, `${directory}/${descriptor}`);
      if (info !== undefined && holdsLock(info, names)) return pid;
    }
  }
  return undefined;
}

function holdsLock(info: string, names: ReadonlySet<string>): boolean {
  if (!info.includes("lock:")) return false;
  return info.split("\n").some((line) => {
    if (!line.startsWith("lock:")) return false;
    const lock = parseLock(line.slice("lock:".length));
    return lock !== undefined && names.has(lock.file);
  });
}

function wholeFile(sys: ScanSys, path: string): string | undefined {
  const fd = sys.open(path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const text = readText(sys, fd);
  sys.close(fd);
  return typeof text === "number" ? undefined : text;
}
