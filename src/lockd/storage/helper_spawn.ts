import { DAEMON_SIGNALS } from "../../chassis/start/signals.ts";
import { O_CLOEXEC, O_RDWR } from "../../os/constants.ts";
import { SystemError } from "../../os/system_error.ts";
import type { FileSys, ProcessSys } from "../../os/sys.ts";
import type { HelperCommand } from "./helper_protocol.ts";

/** What {@link spawnHelper} needs of the kernel. */
export type SpawnSys = Pick<FileSys, "open" | "close"> & Pick<ProcessSys, "spawn">;

/**
 * Starts a helper process.
 *
 * @param socket becomes its descriptor 3; stays the caller's
 * @returns its pid, or why it could not be started
 */
export function spawnHelper(sys: SpawnSys, command: HelperCommand, socket: number): number | SystemError {
  const nothing = sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
  if (nothing < 0) return new SystemError("open", "/dev/null", nothing);
  const pid = sys.spawn({
    ...command,
    descriptors: [nothing, nothing, nothing, socket],
    // None of them may end a helper, nor make the runtime open a debugger port: it ends when the daemon does.
    blockedSignals: DAEMON_SIGNALS,
    newSession: true,
  });
  sys.close(nothing);
  return pid < 0 ? new SystemError("Start storage helper", command.path, pid) : pid;
}
