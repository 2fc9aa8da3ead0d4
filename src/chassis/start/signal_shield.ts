import type { Sys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import type { SelfImage } from "./self.ts";
import { DAEMON_SIGNALS } from "./signals.ts";
import { ExitCode, StartError } from "./start_error.ts";

/**
 * Makes sure that the daemon's signals are blocked in every thread: where they are not, they are blocked and
 * this program is started once more, so that every thread of it inherits the mask. Returns in the second
 * image only.
 *
 * @param self what inherits the mask as it is: executed by way of a shell, it would be started for ever
 * @throws StartError, SystemError
 */
export function shieldSignals(
  sys: Pick<Sys, "signalsBlocked" | "blockSignals" | "execve">,
  self: SelfImage,
): void {
  if (sys.signalsBlocked(DAEMON_SIGNALS) === 1) return;
  must(sys.blockSignals(DAEMON_SIGNALS), "pthread_sigmask", "daemon");
  const failed = sys.execve(self.path, self.argv, self.env);
  throw new StartError(ExitCode.EXEC, new SystemError("Execute", self.path, failed).message);
}
