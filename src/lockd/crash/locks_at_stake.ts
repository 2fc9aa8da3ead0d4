import type { LockPaths } from "../identity/lock_paths.ts";
import { readLog } from "../journal/lock_format.ts";
import { F_UNLCK, F_WRLCK, O_CLOEXEC, O_NOFOLLOW, O_RDWR } from "../../os/constants.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { JOURNAL_NAME, parseSlot } from "../journal/descriptor_names.ts";
import { SharedMemory } from "../../chassis/journal/journal_memory.ts";
import { isOfAnotherBoot, readStamp, stampOfNow } from "../../chassis/journal/journal_stamp.ts";
import { journalPath } from "../../chassis/journal/layout.ts";
import { parseQueueName } from "../store/queue_names.ts";
import type { ReturnedDescriptor } from "../journal/recovered.ts";

/**
 * Whether guests would lose locks if this start failed for good: locks in the service manager's store, in the
 * journal of a daemon that had none, or of an earlier image of this process.
 *
 * @param returned what the service manager has handed over
 * @param paths this user's files, if they are known
 */
export function locksAtStake(
  sys: Sys,
  returned: readonly ReturnedDescriptor[],
  paths: Pick<LockPaths, "journalDir" | "restartState"> | undefined,
): boolean {
  return storeNamesLocks(sys, returned) || paths !== undefined &&
      (sys.access(paths.restartState, 0) === 0 || fileNamesLocks(sys, journalPath(paths.journalDir)));
}

/**
 * Whether that may be so, without looking into anything. What {@link locksAtStake} looks at is gone or in use
 * once the start has gone on.
 */
export function mayBeAtStake(
  sys: Pick<Sys, "access">,
  returned: readonly ReturnedDescriptor[],
  paths: Pick<LockPaths, "journalDir" | "restartState"> | undefined,
): boolean {
  return returned.some((each) => each.name === JOURNAL_NAME || isLocks(each)) || paths !== undefined &&
      [paths.restartState, journalPath(paths.journalDir)].some((path) => sys.access(path, 0) === 0);
}

/** Whether a descriptor in the store is a lock's, or may hold locks. */
function isLocks({ name }: ReturnedDescriptor): boolean {
  return parseSlot(name)?.kind === "lock" || parseQueueName(name) !== undefined;
}

/** The journal in the store says it. Without one that can be read, every descriptor there may be a lock's. */
function storeNamesLocks(sys: Sys, returned: readonly ReturnedDescriptor[]): boolean {
  const journal = returned.find(({ name }) => name === JOURNAL_NAME);
  const named = journal === undefined ? undefined : namesLocks(sys, journal.fd);
  return named ?? returned.some(isLocks);
}

/** A file that cannot be read names nothing that could be taken again. One that is in use is its daemon's. */
function fileNamesLocks(sys: Sys, path: string): boolean {
  const fd = sys.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) return false;
  const user = { type: F_UNLCK, pid: 0 };
  const used = sys.ofdProbe(fd, F_WRLCK, 0, 1, user) === 0 && user.type !== F_UNLCK;
  const named = used ? false : namesLocks(sys, fd);
  sys.close(fd);
  return named ?? false;
}

/**
 * Whether a journal names a lock; undefined when it cannot be read or is damaged. The locks of an earlier
 * boot ended with that.
 */
function namesLocks(sys: Sys, fd: number): boolean | undefined {
  try {
    const memory = new SharedMemory(sys, fd);
    const found = readLog(memory);
    if (typeof found === "string") return undefined;
    if (isOfAnotherBoot(readStamp(memory), stampOfNow(sys))) return false;
    if (found.state.locks.size > 0) return true;
    return found.damage === undefined ? false : undefined;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return undefined;
  }
}
