import { descriptorPath } from "../../os/process_files.ts";
import { parseMountinfo } from "../../os/mountinfo.ts";
import { EACCES, EPERM } from "../../os/errno.ts";
import { O_CLOEXEC, O_PATH } from "../../os/constants.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import { emptyStatus } from "../../os/sys.ts";
import {
  type FileIdentity,
  identityOf,
  inodeText,
  procLockText,
  sameFile,
} from "../lockspace/file_identity.ts";
import { LOCK_START } from "../lockspace/lock_file.ts";
import { processCommand } from "../../os/process_state.ts";
import { readFileText, readSmallFile } from "../../os/read_file.ts";
import { locksIn, parseLock } from "../../os/shown_lock.ts";

/** A search among thousands of processes is given up after this time, in ms. */
const SCAN_LIMIT_MS = 3000;

/** What the kernel of this host says about the holder of a lock. */
export type LocalHolder =
  | { readonly kind: "process"; readonly pid: number; readonly command: string }
  /** No process of this host has a lock there. */
  | { readonly kind: "absent" }
  /** Some process has it, but it could not be found, in time or at all. */
  | { readonly kind: "unknown" };

/** To find who keeps a lock from going may take longer, in ms: nobody waits for it. */
export const KEEPER_LIMIT_MS = 10_000;

/** How often the list of locks is read before a lock is believed to be absent. */
export const LOCK_LISTS = 5;

/** A lock as /proc/locks names it. */
interface ListedLock {
  /** -1: of an open file description. */
  readonly pid: number;
  readonly file: string;
}

type LockListSys = Parameters<typeof readFileText>[0];
/** What a look at processes and their locks needs. */
export type ScanSys =
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
  const found = locksOn(sys, names, LOCK_START);
  if (found === undefined) return { kind: "unknown" };
  if (found.length === 0) return { kind: "absent" };
  const posix = found.find((lock) => lock.pid > 0);
  if (posix !== undefined) return processHolder(sys, posix.pid);
  const holds = (info: string) => locksIn(info, LOCK_START).some(({ file }) => names.has(file));
  const { pid } = scan(sys, holds, SCAN_LIMIT_MS);
  return pid === undefined ? { kind: "unknown" } : processHolder(sys, pid);
}

/** Who has a file, as far as this host's processes tell. */
export type Keeper =
  | { readonly kind: "process"; readonly pid: number; readonly command: string }
  /** No process has it. */
  | { readonly kind: "nobody" }
  /** Not all processes may be looked at. */
  | { readonly kind: "hidden" }
  /** Not all processes could be looked at in time. */
  | { readonly kind: "late" };

/**
 * Finds a process that has a file open, other than the lock daemon and whoever keeps copies of its
 * descriptors. May block.
 */
export function findOpener(sys: ScanSys & Pick<FileSys, "stat">, identity: FileIdentity): Keeper {
  const inode = inodeText(identity);
  const status = emptyStatus();
  const found = scan(sys, (info, path) => {
    const shown = /^ino:\s*(\d+)$/m.exec(info)?.[1];
    if (shown !== undefined && shown !== inode) return false;
    // The lock on a resource: the daemon's descriptor, or a copy of it.
    if (locksIn(info, LOCK_START).length > 0) return false;
    return sys.stat(path, status) === 0 && sameFile(identity, identityOf(status));
  }, KEEPER_LIMIT_MS);
  return keeperOf(sys, found);
}

/** What a look at all processes says of who has a file. */
export function keeperOf(sys: ScanSys, { pid, left }: Scan): Keeper {
  if (pid !== undefined) return processHolder(sys, pid);
  return { kind: left ?? "nobody" };
}

/** Whether anybody has a lock on byte `at` of one of these files; undefined when that cannot be read. */
export function isLocked(sys: LockListSys, names: ReadonlySet<string>, at: number): boolean | undefined {
  const found = locksOn(sys, names, at);
  return found === undefined ? undefined : found.length > 0;
}

/**
 * Locks on byte `at` of the files that the kernel calls by these names; undefined when the list cannot be
 * read.
 *
 * The kernel shows the list a page at a time, and what others lock and unlock between two pages may hide an
 * entry. So a lock is only believed to be absent when it is in none of several lists.
 */
export function locksOn(
  sys: LockListSys,
  names: ReadonlySet<string>,
  at: number,
): ListedLock[] | undefined {
  for (let reading = 0; reading < LOCK_LISTS; reading++) {
    const found = listedLocks(sys, names, at);
    if (found === undefined || found.length > 0) return found;
  }
  return [];
}

/** How many such locks each of these files has at most, for the same reason; undefined likewise. */
export function countLocksOn(
  sys: LockListSys,
  names: ReadonlySet<string>,
  at: number,
): ReadonlyMap<string, number> | undefined {
  const most = new Map<string, number>();
  for (let reading = 0; reading < LOCK_LISTS; reading++) {
    const found = listedLocks(sys, names, at);
    if (found === undefined) return undefined;
    for (const [file, locks] of Map.groupBy(found, ({ file }) => file)) {
      most.set(file, Math.max(most.get(file) ?? 0, locks.length));
    }
  }
  return most;
}

/** What one list has. */
function listedLocks(
  sys: LockListSys,
  names: ReadonlySet<string>,
  at: number,
): ListedLock[] | undefined {
  return readFileText(sys, "/proc/locks")?.split("\n").flatMap((line) => {
    const lock = parseLock(line, at);
    return lock !== undefined && names.has(lock.file) ? [lock] : [];
  });
}

/** A process as the holder of a lock. */
export function processHolder(sys: ScanSys, pid: number): Extract<LocalHolder, { kind: "process" }> {
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
  const mounts = id === undefined ? undefined : readFileText(sys, "/proc/self/mountinfo");
  for (const { id: mount, devMajor, devMinor } of parseMountinfo(mounts ?? "")) {
    if (mount !== Number(id)) continue;
    const inode = /^ino:\s*(\d+)$/m.exec(info ?? "")?.[1] ?? inodeText(identity);
    const filesystem = procLockText({ ...identity, devMajor, devMinor });
    names.add(filesystem.slice(0, filesystem.lastIndexOf(":") + 1) + inode);
  }
  return names;
}

/** What a look at all processes has found. */
export interface Scan {
  readonly pid: number | undefined;
  /** Why processes are left that were not looked at; undefined when none are. */
  readonly left: "hidden" | "late" | undefined;
}

/**
 * Looks at all processes, the newest first: a service manager that only keeps copies of others' descriptors
 * comes last.
 *
 * @param wanted tells by the fdinfo of a descriptor, and its path below /proc, whether it is the one that is
 * looked for
 */
export function scan(
  sys: ScanSys,
  wanted: (info: string, path: string, pid: number) => boolean,
  limit: number,
): Scan {
  const deadline = sys.monotonic() + limit;
  const processes = sys.listDirectory("/proc");
  if (typeof processes === "number") return { pid: undefined, left: "hidden" };
  const pids = processes.map(Number).filter(Number.isInteger).sort((a, b) => b - a);
  let left: "hidden" | undefined;
  for (const pid of pids) {
    const directory = `/proc/${pid}/fdinfo`;
    const descriptors = sys.listDirectory(directory);
    if (typeof descriptors === "number") {
      // It has ended, or is another user's. The first process only keeps copies of others' descriptors.
      if (pid !== 1 && (descriptors === -EACCES || descriptors === -EPERM)) left = "hidden";
      continue;
    }
    for (const descriptor of descriptors) {
      if (sys.monotonic() > deadline) return { pid: undefined, left: "late" };
      const info = readSmallFile(sys, `${directory}/${descriptor}`);
      if (info !== undefined && wanted(info, descriptorPath(pid, descriptor), pid)) {
        return { pid, left };
      }
    }
  }
  return { pid: undefined, left };
}
