import type { DaemonOptions } from "../../chassis/config/options.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { launchInBackground, READY_VARIABLE, StartReport } from "../../chassis/start/launch.ts";
import { environmentOf, selfImage, variable } from "../../chassis/start/self.ts";
import { shieldSignals } from "../../chassis/start/signal_shield.ts";
import { DAEMON_SIGNALS } from "../../chassis/start/signals.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";
import type { RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { serve } from "./serve.ts";

/**
 * Runs the storage daemon, or starts it in the background.
 *
 * @param mistakes what is wrong with the command line; nothing is at stake that would make it go on
 * @returns exit code
 * @throws StartError, UsageError when it cannot start
 */
export function runDaemon(
  sys: Sys,
  facts: RuntimeFacts,
  options: DaemonOptions,
  mistakes: readonly string[],
): number {
  if (mistakes[0] !== undefined) throw new UsageError(mistakes[0]);
  const directory = sys.readlink("/proc/self/cwd");
  const cwd = typeof directory === "string" ? directory : "/";
  const self = selfImage(sys, facts, cwd);
  const ready = variable(self.env, READY_VARIABLE);
  if (options.daemon && ready === undefined) {
    // Whoever waits for the start may still give up.
    must(sys.unblockSignals(DAEMON_SIGNALS), "pthread_sigmask", "start");
    launchInBackground(sys, self);
    return ExitCode.OK;
  }
  shieldSignals(sys, self);
  const report = new StartReport(sys, ready === undefined ? undefined : Number(ready));
  try {
    return serve({ sys, self, options, env: environmentOf(self.env), cwd, report });
  } catch (error) {
    // A kernel's refusal that no step foresaw is still a failed start with a reason.
    const failure = error instanceof SystemError
      ? new StartError(ExitCode.INITIALISATION, error.message, { cause: error })
      : error;
    if (!(failure instanceof StartError) || !report.awaited) throw failure;
    report.failed(failure);
    return failure.code;
  }
}
