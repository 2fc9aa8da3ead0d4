import { readList } from "../../os/read_file.ts";
import { SIGUSR1 } from "../../os/constants.ts";
import type { RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { must } from "../../os/system_error.ts";

/**
 * Makes sure that SIGUSR1 does not open the runtime's debugger port in this process, which may be root's: the
 * signal is blocked and the program started once more, so that every thread inherits that. Returns in the
 * second image only.
 *
 * @throws SystemError
 */
export function shieldFromDebugger(sys: Sys, facts: RuntimeFacts): void {
  if (sys.signalsBlocked([SIGUSR1]) === 1) return;
  must(sys.blockSignals([SIGUSR1]), "pthread_sigmask", "command");
  const failed = sys.execve(
    facts.runtimePath,
    readList(sys, "/proc/self/cmdline"),
    readList(sys, "/proc/self/environ"),
  );
  must(failed, "execve", facts.runtimePath);
}
