import { isInitialNamespace } from "../../os/pid_namespace.ts";
import { readFileText } from "../../os/read_file.ts";
import { locksIn, parseLock } from "../../os/shown_lock.ts";
import type { FileSys } from "../../os/sys.ts";
import { WRITE_GUARD } from "../lockspace/written_files.ts";
import { KEEPER_LIMIT_MS, LOCK_LISTS, scan, type ScanSys } from "./holder_scan.ts";
import { type LivingGuard, surplusOf } from "./living_guards.ts";

/** QEMU's locks begin here. */
const FIRST_GUARD = 100;

/**
 * Whether a QEMU that is gone still has its own lock on any file: the kernel is doing something for it. Also
 * of a file that another process has open by now.
 *
 * @returns hidden when that cannot be told, as where not all processes of this kernel may be looked at; late
 *   when they could not be in time
 */
export function findStrayGuard(
  sys: ScanSys & Pick<FileSys, "readlink">,
): "none" | "some" | "hidden" | "late" {
  const files = guardedFiles(sys);
  if (files === undefined) return "hidden";
  if (files.size === 0) return "none";
  const living: LivingGuard[] = [];
  const { left } = scan(sys, (info, path, pid) => {
    for (const { file } of locksIn(info, WRITE_GUARD)) {
      if (files.has(file)) living.push({ pid, info: path.replace("/fd/", "/fdinfo/"), file });
    }
    return false;
  }, KEEPER_LIMIT_MS);
  switch (surplusOf(sys, files, WRITE_GUARD, living).kind) {
    case "none":
      return "none";
    case "some":
      return left ?? (isInitialNamespace(sys) ? "some" : "hidden");
    case "unclear":
    case "hidden":
      return "hidden";
  }
}

/** Files with QEMU's own lock of somebody, as the kernel names them; undefined when that cannot be read. */
function guardedFiles(sys: ScanSys): ReadonlySet<string> | undefined {
  const files = new Set<string>();
  for (let reading = 0; reading < LOCK_LISTS; reading++) {
    const list = readFileText(sys, "/proc/locks");
    if (list === undefined) return undefined;
    for (const line of list.split("\n")) {
      const lock = parseLock(line, WRITE_GUARD);
      // Locks of whole files, as databases have them, are no QEMU's.
      const isWhole = parseLock(line, FIRST_GUARD - 1) !== undefined;
      if (lock !== undefined && lock.pid < 0 && !isWhole) files.add(lock.file);
    }
  }
  return files;
}
