import { readFileText } from "../../os/read_file.ts";
import { locksIn } from "../../os/shown_lock.ts";
import { countLocksOn, type ScanSys } from "./holder_scan.ts";

/** A descriptor of a living process that has a lock. */
export interface LivingGuard {
  readonly pid: number;
  /** Of its fdinfo, below /proc. */
  readonly info: string;
  /** As the kernel names it. */
  readonly file: string;
}

/** What the kernel's list of locks has beside those of living processes. */
export type Surplus =
  | { readonly kind: "none" }
  /** At least one lock that no living process has. */
  | { readonly kind: "some" }
  /** It cannot be told: what a process has may be one open file, or two. */
  | { readonly kind: "unclear"; readonly pid: number }
  /** The list cannot be read. */
  | { readonly kind: "hidden" };

/**
 * Compares what descriptors of living processes have with what the kernel's list has. That tells neither
 * whose a lock is nor which of two it is, but it has one line for each open file. So of a file that a new
 * process has open too, the lock of one that is gone is found by the number.
 *
 * @param names of the files, as the kernel names them
 * @param at the byte
 * @param living all descriptors that were seen to have such a lock; more of them may have got one since
 */
export function surplusOf(
  sys: ScanSys,
  names: ReadonlySet<string>,
  at: number,
  living: readonly LivingGuard[],
): Surplus {
  const shown = countLocksOn(sys, names, at);
  if (shown === undefined) return { kind: "hidden" };
  // Read after the list: what one of them had before only may be another one's line there.
  const still = living.filter(({ info, file }) => {
    return locksIn(readFileText(sys, info) ?? "", at).some((lock) => lock.file === file);
  });
  const more = [...shown].some(([name, locks]) => {
    return locks > still.filter(({ file }) => file === name).length;
  });
  if (more) return { kind: "some" };
  // Two descriptors of one process may be one open file, and one line then.
  const twice = still.find((guard) =>
    still.some((other) => other !== guard && other.pid === guard.pid && other.file === guard.file)
  );
  if (twice !== undefined) return { kind: "unclear", pid: twice.pid };
  const handed = still.find(({ pid }) => mayHaveBeenHanded(sys, pid));
  return handed === undefined ? { kind: "none" } : { kind: "unclear", pid: handed.pid };
}

/**
 * Whether a process may have images that it has not opened itself: libvirt's `<source fdgroup=...>`. The
 * process before may have had the same open file. Logs of consoles are handed over like that too.
 */
function mayHaveBeenHanded(sys: ScanSys, pid: number): boolean {
  const line = readFileText(sys, `/proc/${pid}/cmdline`);
  return line === undefined || /(?:"filename":\s*"|\bfile(?:name)?=)\/dev\/fdset\//.test(line);
}
