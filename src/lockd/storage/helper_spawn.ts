import { O_CLOEXEC, O_RDWR, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1 } from "../../os/constants.ts";
import { SystemError } from "../../os/system_error.ts";
import type { FileSys, ProcessSys } from "../../os/sys.ts";
import type { HelperCommand } from "./program_run.ts";

/**
 * Signals that must not end a helper, nor make the runtime open a debugger port: it ends when the daemon
 * does.
 */
export const BLOCKED_SIGNALS: readonly number[] = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGTERM, SIGPIPE];

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
    blockedSignals: BLOCKED_SIGNALS,
    newSession: true,
  });
  sys.close(nothing);
  return pid < 0 ? new SystemError("Start storage helper", command.path, pid) : pid;
}
