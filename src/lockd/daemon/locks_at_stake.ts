import type { Paths } from "../../chassis/config/paths.ts";
import { F_UNLCK, F_WRLCK, O_CLOEXEC, O_NOFOLLOW, O_RDWR } from "../../os/constants.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { parseSlot } from "../journal/descriptor_names.ts";
import { SharedMemory } from "../journal/journal_memory.ts";
import { journalPath } from "../journal/layout.ts";
import { LogFile } from "../journal/log_file.ts";

/**
 * Whether guests would lose locks if this start failed for good: locks in the service manager's store, in the
 * journal of a daemon that had none, or of an earlier image of this process.
 *
 * @param returned what the service manager has handed over
 * @param paths this user's files, if they are known
 */
export function locksAtStake(
  sys: Sys,
  returned: readonly { readonly name: string }[],
  paths: Pick<Paths, "journalDir" | "restartState"> | undefined,
): boolean {
  if (returned.some(({ name }) => parseSlot(name)?.kind === "lock")) return true;
  return paths !== undefined &&
    (sys.access(paths.restartState, 0) === 0 || journalNamesLocks(sys, journalPath(paths.journalDir)));
}

/**
 * A journal that cannot be read names nothing that could be taken again. One that is in use is its
 * daemon's.
 */
function journalNamesLocks(sys: Sys, path: string): boolean {
  const fd = sys.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) return false;
  try {
    const user = { type: F_UNLCK, pid: 0 };
    if (sys.ofdProbe(fd, F_WRLCK, 0, 1, user) === 0 && user.type !== F_UNLCK) return false;
    const found = LogFile.read(new SharedMemory(sys, fd));
    return typeof found !== "string" && found.state.resources.size > 0;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return false;
  } finally {
    sys.close(fd);
  }
}
