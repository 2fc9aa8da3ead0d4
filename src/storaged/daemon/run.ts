import type { DaemonOptions } from "../../chassis/config/options.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { foregroundReason } from "../../chassis/start/background.ts";
import { launchInBackground, READY_VARIABLE, StartReport } from "../../chassis/start/launch.ts";
import {
  environmentOf,
  runningImage,
  selfImage,
  variable,
  workingDirectory,
} from "../../chassis/start/self.ts";
import { shieldSignals } from "../../chassis/start/signal_shield.ts";
import { ExitCode, StartError, startFailure } from "../../chassis/start/start_error.ts";
import { readActivation } from "../../chassis/systemd/activation.ts";
import type { RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
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
  const cwd = workingDirectory(sys);
  const self = selfImage(sys, facts, cwd);
  const ready = variable(self.env, READY_VARIABLE);
  if (options.daemon && ready === undefined) {
    const env = environmentOf(self.env);
    const sockets = readActivation((name) => env[name], sys.pid()).descriptors.length;
    const reason = foregroundReason(env, sys.pid(), sockets);
    if (reason !== undefined) throw new UsageError(reason);
    launchInBackground(sys, self);
    return ExitCode.OK;
  }
  shieldSignals(sys, runningImage(sys, facts, self));
  const report = new StartReport(sys, ready === undefined ? undefined : Number(ready));
  try {
    return serve({ sys, self, options, env: environmentOf(self.env), cwd, report });
  } catch (error) {
    const failure = startFailure(error);
    if (!(failure instanceof StartError) || !report.awaited) throw failure;
    report.failed(failure);
    return failure.code;
  }
}
