import { locksIn } from "../../os/shown_lock.ts";
import { WRITE_GUARD } from "../lockspace/written_files.ts";
import {
  type Keeper,
  KEEPER_LIMIT_MS,
  keeperOf,
  locksOn,
  processHolder,
  scan,
  type ScanSys,
} from "./holder_scan.ts";
import { type LivingGuard, surplusOf } from "./living_guards.ts";

/** Who keeps QEMU's own lock on images. */
export type GuardKeeper =
  | Keeper
  /** There is none. */
  | { readonly kind: "none" }
  /** Guests that have opened the images themselves, and nobody else. */
  | { readonly kind: "guests" };

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
  const theirs: LivingGuard[] = [];
  const seen = scan(sys, (info, path, pid) => {
    const files = locksIn(info, WRITE_GUARD).filter(({ file }) => names.has(file));
    if (files.length === 0) return false;
    if (!guests.has(pid)) return true;
    theirs.push(...files.map(({ file }) => ({ pid, info: path.replace("/fd/", "/fdinfo/"), file })));
    return false;
  }, KEEPER_LIMIT_MS);
  if (seen.pid !== undefined || seen.left !== undefined || theirs.length === 0) return keeperOf(sys, seen);
  const surplus = surplusOf(sys, names, WRITE_GUARD, theirs);
  switch (surplus.kind) {
    case "none":
      return { kind: "guests" };
    case "some":
      return { kind: "nobody" };
    case "unclear":
      return processHolder(sys, surplus.pid);
    case "hidden":
      return surplus;
  }
}
