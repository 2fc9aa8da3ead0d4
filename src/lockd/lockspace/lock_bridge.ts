import { F_RDLCK, F_UNLCK, F_WRLCK } from "../../os/constants.ts";
import type { FileSys } from "../../os/sys.ts";
import { LOCK_LENGTH, LOCK_START, type LockKind } from "./lock_file.ts";

type BridgeSys = Pick<FileSys, "ofdLock" | "posixLock">;

/** How a lock is held after an attempt to change its kind. At no moment was it free. */
export interface Crossing {
  readonly lock: LockKind;
  /**
   * Whether an exclusive lock could only be kept as a shared one: somebody else reads, so nobody can write,
   * but one may think so.
   */
  readonly weakened: boolean;
  /**
   * Why it is not of the wanted kind, or weakened: the call that failed and its positive errno. Absent when
   * all is well.
   */
  readonly failure?: { readonly call: string; readonly errno: number };
}

/** One step over the bridge; `shared`: the other side was reached, but as a shared lock. */
type Step =
  | { readonly kind: "crossed" }
  | { readonly kind: "stayed" | "shared" | "stuck"; readonly call: string; readonly errno: number };

/**
 * Turns a POSIX lock of this process into one of an open file description, or back, without a moment in which
 * another process could write-lock the file: write → read on this side, read on the other side too, give up
 * this side, read → write.
 *
 * Read locks of both kinds may lie side by side, and any of them keeps writers away. Only another reader, who
 * came between the first and the last step, can make the last one fail. Then the way back is tried, and when
 * that fails too the lock stays shared. To be called in the process that has, or is to have, the POSIX lock.
 * May block on storage that does not answer.
 *
 * @param fd a descriptor of the locked file; open for writing unless `shared`
 * @param shared whether the lock is shared
 * @param to the wanted kind; the lock is held as the other one
 */
export function crossTo(sys: BridgeSys, fd: number, shared: boolean, to: LockKind): Crossing {
  const from = to === "ofd" ? "posix" : "ofd";
  const over = step(sys, fd, shared, from, to);
  if (over.kind === "crossed") return { lock: to, weakened: false };
  const { call, errno } = over;
  const failure = { call, errno };
  if (over.kind === "stayed") return { lock: from, weakened: false, failure };
  if (over.kind === "stuck") return { lock: from, weakened: true, failure };
  // Perhaps this file system only does not bear it that way.
  const back = step(sys, fd, shared, to, from);
  switch (back.kind) {
    case "crossed":
      return { lock: from, weakened: false, failure };
    case "stayed":
      return { lock: to, weakened: false };
    case "stuck":
      return { lock: to, weakened: true, failure };
    case "shared":
      // A description's lock is the better one to be left with: it can outlive this process.
      return from === "ofd" ? { lock: "ofd", weakened: true, failure } : lastTry(sys, fd, shared, failure);
  }
}

/** From a POSIX lock that could only be kept as a shared one. */
function lastTry(
  sys: BridgeSys,
  fd: number,
  shared: boolean,
  failure: NonNullable<Crossing["failure"]>,
): Crossing {
  const again = step(sys, fd, shared, "posix", "ofd");
  switch (again.kind) {
    case "crossed":
      return { lock: "ofd", weakened: false };
    case "shared":
      return { lock: "ofd", weakened: true, failure };
    case "stayed":
      return { lock: "posix", weakened: false, failure };
    case "stuck":
      return { lock: "posix", weakened: true, failure };
  }
}

/**
 * @returns where the lock is: `stayed` and `stuck` on the old side (`stuck`: as a shared one), `shared` and
 * `crossed` on the new
 */
function step(sys: BridgeSys, fd: number, shared: boolean, from: LockKind, to: LockKind): Step {
  const set = (kind: LockKind, type: number) =>
    (kind === "ofd" ? sys.ofdLock : sys.posixLock)(fd, type, LOCK_START, LOCK_LENGTH);
  const called = (kind: LockKind, mode: string) => `${kind === "ofd" ? "F_OFD_SETLK" : "F_SETLK"} ${mode}`;
  /** The old side as it was, if the kernel still gives it. */
  const stay = (call: string, result: number): Step => {
    const again = shared ? 0 : set(from, F_WRLCK);
    return { kind: again === 0 ? "stayed" : "stuck", call, errno: -result };
  };
  const eased = shared ? 0 : set(from, F_RDLCK);
  if (eased < 0) return stay(called(from, "F_RDLCK"), eased);
  const beside = set(to, F_RDLCK);
  if (beside < 0) return stay(called(to, "F_RDLCK"), beside);
  const given = set(from, F_UNLCK);
  if (given < 0) {
    set(to, F_UNLCK);
    return stay(called(from, "F_UNLCK"), given);
  }
  const whole = shared ? 0 : set(to, F_WRLCK);
  if (whole < 0) return { kind: "shared", call: called(to, "F_WRLCK"), errno: -whole };
  return { kind: "crossed" };
}
