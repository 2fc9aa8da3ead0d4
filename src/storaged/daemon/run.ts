import type { DaemonOptions } from "../../chassis/config/options.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { endStart, serviceOf } from "../../chassis/start/failed_service.ts";
import { foregroundReason } from "../../chassis/start/background.ts";
import { launchInBackground, READY_VARIABLE, StartReport } from "../../chassis/start/launch.ts";
import {
  environmentOf,
  runningImage,
  selfImage,
  variable,
  workingDirectory,
} from "../../chassis/start/self.ts";
import { toldImage } from "../../chassis/start/service_environment.ts";
import { knownPaths } from "../../chassis/start/start.ts";
import { shieldSignals } from "../../chassis/start/signal_shield.ts";
import { ExitCode } from "../../chassis/start/start_error.ts";
import { readActivation } from "../../chassis/systemd/activation.ts";
import type { RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import { serve } from "./serve.ts";

/**
 * Runs the storage daemon, or starts it in the background.
 *
 * @param found what is wrong with the command line; nothing is at stake that would make it go on
 * @returns exit code
 * @throws StartError, UsageError when it cannot start
 */
export function runDaemon(
  sys: Sys,
  facts: RuntimeFacts,
  options: DaemonOptions,
  found: readonly string[],
): number {
  const cwd = workingDirectory(sys);
  const image = selfImage(sys, facts, cwd);
  const paths = knownPaths(VIRTSTORAGED, sys, options, environmentOf(image.env), cwd);
  const failed = { daemon: VIRTSTORAGED.name, counted: paths?.startFailures, atStake: false };
  const { self, complaints } = toldImage(sys, image, false, failed);
  const env = environmentOf(self.env);
  const sockets = readActivation((name) => env[name], sys.pid()).descriptors;
  const ready = variable(self.env, READY_VARIABLE);
  const background = options.daemon && ready === undefined;
  const reason = background ? foregroundReason(env, sys.pid(), sockets.length) : undefined;
  const [mistake] = reason === undefined ? found : [...found, reason];
  const service = serviceOf(sys, env, sockets);
  if (service === undefined && mistake !== undefined) throw new UsageError(mistake);
  if (background && mistake === undefined) {
    launchInBackground(sys, self);
    return ExitCode.OK;
  }
  shieldSignals(sys, runningImage(sys, facts, self));
  const report = new StartReport(sys, ready === undefined ? undefined : Number(ready));
  try {
    if (mistake !== undefined) throw new UsageError(mistake);
    return serve({ sys, self, options, env, cwd, report, complaints });
  } catch (error) {
    return endStart(error, report, service, failed);
  }
}
