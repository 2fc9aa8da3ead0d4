import { readWhole } from "../../os/read_file.ts";
import { SIGUSR1 } from "../../os/constants.ts";
import type { RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { must } from "../../os/system_error.ts";
import { decodeText } from "../../os/text.ts";

/**
 * Makes sure that SIGUSR1 does not open the runtime's debugger port in this process, which may be root's: the
 * signal is blocked and the program started once more, so that every thread inherits that. Returns in the
 * second image only.
 *
 * @throws SystemError
 */
export function shieldFromDebugger(sys: Sys, facts: RuntimeFacts): void {
  if (sys.signalsBlocked([SIGUSR1]) === 1) return;
  const list = (path: string) => decodeText(readWhole(sys, path)).replace(/\0$/, "").split("\0");
  must(sys.blockSignals([SIGUSR1]), "pthread_sigmask", "command");
  const failed = sys.execve(facts.runtimePath, list("/proc/self/cmdline"), list("/proc/self/environ"));
  must(failed, "execve", facts.runtimePath);
}
