import { readFileText } from "../../os/read_file.ts";
import { locksIn } from "../../os/shown_lock.ts";
import { WRITE_GUARD } from "../lockspace/written_files.ts";
import {
  countLocksOn,
  type Keeper,
  KEEPER_LIMIT_MS,
  keeperOf,
  locksOn,
  processHolder,
  scan,
  type ScanSys,
} from "./holder_scan.ts";

/** Who keeps QEMU's own lock on images. */
export type GuardKeeper =
  | Keeper
  /** There is none. */
  | { readonly kind: "none" }
  /** Guests that have opened the images themselves, and nobody else. */
  | { readonly kind: "guests" };

/** A descriptor of a guest that has the lock. */
interface GuestGuard {
  readonly pid: number;
  /** Of its fdinfo, below /proc. */
  readonly info: string;
  /** As the kernel names it. */
  readonly file: string;
}

/**
 * Finds the process that has QEMU's own lock on one of several images, by the kernel's names for them. A lock
 * that no process has is one of a process that is gone, for which the kernel is still doing something.
 *
 * @param guests processes that other owners of locks are. A guest that was started anew opens its images, and
 *   locks them, before its locks are asked for. Such a lock is its own, and tells nothing of the process
 *   before, unless the image was handed to it as an open file: that one the process before may have had too
 */
export function findGuardKeeper(
  sys: ScanSys,
  names: ReadonlySet<string>,
  guests: ReadonlySet<number>,
): GuardKeeper {
  const found = locksOn(sys, names, WRITE_GUARD);
  if (found === undefined) return { kind: "hidden" };
  if (found.length === 0) return { kind: "none" };
  const posix = found.find(({ pid }) => pid > 0);
  if (posix !== undefined) return processHolder(sys, posix.pid);
  const theirs: GuestGuard[] = [];
  const seen = scan(sys, (info, path, pid) => {
    const files = locksIn(info, WRITE_GUARD).filter(({ file }) => names.has(file));
    if (files.length === 0) return false;
    if (!guests.has(pid) || mayHaveBeenHanded(sys, pid)) return true;
    theirs.push(...files.map(({ file }) => ({ pid, info: path.replace("/fd/", "/fdinfo/"), file })));
    return false;
  }, KEEPER_LIMIT_MS);
  if (seen.pid !== undefined || !seen.complete || theirs.length === 0) return keeperOf(sys, seen);
  return besideGuests(sys, names, theirs);
}

/**
 * Whether there are more locks than guests have. The kernel's list tells neither whose a lock is nor which
 * of two it is, but it has one line for each open file.
 */
function besideGuests(
  sys: ScanSys,
  names: ReadonlySet<string>,
  theirs: readonly GuestGuard[],
): GuardKeeper {
  // Two descriptors of one process may be one open file, and one line then.
  const twice = theirs.find((guard) =>
    theirs.some((other) => other !== guard && other.pid === guard.pid && other.file === guard.file)
  );
  if (twice !== undefined) return processHolder(sys, twice.pid);
  const shown = countLocksOn(sys, names, WRITE_GUARD);
  if (shown === undefined) return { kind: "hidden" };
  const more = [...shown].some(([name, locks]) => {
    return locks > theirs.filter(({ file }) => file === name).length;
  });
  // Read after the list: what one of them had before only may be another one's line there.
  const gone = theirs.some(({ info, file }) => {
    return !locksIn(readFileText(sys, info) ?? "", WRITE_GUARD).some((lock) => lock.file === file);
  });
  return { kind: more || gone ? "nobody" : "guests" };
}

/** Whether a process may have images that it has not opened itself: libvirt's `<source fdgroup=...>`. */
function mayHaveBeenHanded(sys: ScanSys, pid: number): boolean {
  return readFileText(sys, `/proc/${pid}/cmdline`)?.includes("/dev/fdset/") ?? true;
}
