import type { DaemonOptions } from "../../chassis/config/options.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import type { RuntimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import type { Paths } from "../../chassis/config/paths.ts";
import { foregroundReason } from "../../chassis/start/background.ts";
import { endStart, serviceOf } from "../../chassis/start/failed_service.ts";
import { launchInBackground, READY_VARIABLE, StartReport } from "../../chassis/start/launch.ts";
import {
  environmentOf,
  runningImage,
  selfImage,
  variable,
  workingDirectory,
} from "../../chassis/start/self.ts";
import { toldImage } from "../../chassis/start/service_environment.ts";
import { shieldSignals } from "../../chassis/start/signal_shield.ts";
import { knownPaths } from "../../chassis/start/start.ts";
import { ExitCode } from "../../chassis/start/start_error.ts";
import { readActivation } from "../../chassis/systemd/activation.ts";
import type { ReturnedDescriptor } from "../journal/recovered.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { type LockPaths, lockPaths } from "../identity/lock_paths.ts";
import { locksAtStake, mayBeAtStake } from "../crash/locks_at_stake.ts";
import { serve } from "./serve.ts";
import { StateFile } from "../restart/state_file.ts";

/**
 * Runs the daemon, or starts it in the background.
 *
 * @param given the command line's options
 * @param foundMistakes what is wrong with the command line and left out of `given`
 * @returns exit code
 * @throws StartError, UsageError when it cannot start
 */
export function runDaemon(
  sys: Sys,
  facts: RuntimeFacts,
  given: DaemonOptions,
  foundMistakes: readonly string[],
): number {
  const cwd = workingDirectory(sys);
  const image = selfImage(sys, facts, cwd);
  const paths = knownPaths(VIRTLOCKD, sys, given, environmentOf(image.env), cwd);
  const failed = { daemon: VIRTLOCKD.name, counted: paths?.startFailures };
  const handover = isHandover(sys, paths);
  const { self, complaints } = toldImage(sys, image, handover, { ...failed, atStake: true });
  const env = environmentOf(self.env);
  const sockets = readActivation((name) => env[name], sys.pid()).descriptors;
  const service = serviceOf(sys, env, sockets);
  const start = new Start(sys, paths, sockets);
  const ready = variable(self.env, READY_VARIABLE);
  // A daemon that execs itself anew is in the background already, and must keep its pid.
  const background = given.daemon && ready === undefined && !handover;
  const reason = background ? foregroundReason(env, sys.pid(), sockets.length) : undefined;
  const mistakes = reason === undefined ? foundMistakes : [...foundMistakes, reason];
  const options = reason === undefined ? given : { ...given, daemon: false };
  if (service === undefined && mistakes[0] !== undefined && !start.atStake) throw new UsageError(mistakes[0]);
  if (background && reason === undefined) {
    launchInBackground(sys, self);
    return ExitCode.OK;
  }
  shieldSignals(sys, runningImage(sys, facts, self));
  const report = new StartReport(sys, ready === undefined ? undefined : Number(ready));
  try {
    const atStake = () => start.atStake;
    return serve({ sys, self, options, env, cwd, report, complaints, mistakes, atStake });
  } catch (error) {
    return endStart(error, report, service, { ...failed, atStake: start.wasAtStake });
  }
}

/** Whether an earlier image of this very process hands its state over. */
function isHandover(sys: Sys, paths: Paths | undefined): boolean {
  return paths !== undefined && new StateFile(sys, lockPaths(paths).restartState).isFor(sys.pid());
}

/** What the start of a daemon would cost others if it failed. */
class Start {
  readonly #sys: Sys;
  readonly #paths: LockPaths | undefined;
  readonly #returned: readonly ReturnedDescriptor[];
  readonly #maybe: boolean;
  #atStake: boolean | undefined;

  constructor(sys: Sys, paths: Paths | undefined, returned: readonly ReturnedDescriptor[]) {
    this.#sys = sys;
    this.#returned = returned;
    this.#paths = paths === undefined ? undefined : lockPaths(paths);
    this.#maybe = mayBeAtStake(sys, returned, this.#paths);
  }

  /**
   * Whether guests would lose locks if it failed for good. Found out when it is first asked, which has to be
   * before anything that an earlier daemon has left is taken.
   */
  get atStake(): boolean {
    this.#atStake ??= this.#maybe && locksAtStake(this.#sys, this.#returned, this.#paths);
    return this.#atStake;
  }

  /** The same when it has failed. What was not found out by then cannot be any more, and counts as so. */
  get wasAtStake(): boolean {
    return this.#atStake ?? this.#maybe;
  }
}
