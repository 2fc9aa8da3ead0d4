import type { LoadedSettings } from "../../chassis/config/settings.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { forgiveConfiguration } from "../../chassis/start/forgiving.ts";
import { readSettings, type StartContext, startContext } from "../../chassis/start/start.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";
import { readActivation } from "../../chassis/systemd/activation.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { lockPaths } from "../identity/lock_paths.ts";
import { LOCK_SETTINGS, type Settings } from "../identity/settings.ts";
import type { ReturnedDescriptor } from "../journal/recovered.ts";
import type { RestartState } from "../restart/state.ts";
import { silentMountOf } from "../storage/file_reach.ts";
import type { ServeParts } from "./serve_parts.ts";
import { StateFile, type TakenState } from "../restart/state_file.ts";
import { unless } from "./unless.ts";

/** What a daemon knows before it has done anything. */
export interface Beginning {
  readonly pid: number;
  readonly stateFile: StateFile;
  /** What lay in the place of a restart state; it is gone from there. */
  readonly taken: TakenState | undefined;
  /** State of an earlier image of this very process. */
  readonly handed: RestartState | undefined;
  /** Where relative paths of the command line begin. */
  readonly cwd: string;
  readonly context: StartContext;
  /** What the service manager handed over. */
  readonly returned: readonly ReturnedDescriptor[];
  /** Whether something that fails must not end the start. */
  readonly forgive: () => boolean;
  /** What was wrong and did not end the start; told when there is a log. */
  readonly complaints: string[];
  readonly loaded: LoadedSettings<Settings>;
}

/**
 * Takes the state of an earlier image, reads the configuration, and finds out what may go wrong. Of the host
 * it changes nothing but the state's file.
 *
 * @throws StartError, UsageError
 */
export function readStart(
  { sys, options, env, cwd: directory, complaints: found, mistakes, atStake }: ServeParts,
): Beginning {
  const pid = sys.pid();
  const { paths } = startContext(VIRTLOCKD, sys, options, env, directory);
  const stateFile = new StateFile(sys, lockPaths(paths).restartState);
  const taken = stateFile.take(pid);
  const handed = taken?.kind === "state" ? taken.state : undefined;
  const cwd = handed?.extension?.cwd ?? directory;
  const context = startContext(VIRTLOCKD, sys, options, env, cwd);
  const returned = readActivation((name) => env[name], pid).descriptors;
  // Whoever holds locks must not exit because a file was edited meanwhile.
  const forgive = () => handed !== undefined || atStake();
  if (mistakes[0] !== undefined && !forgive()) throw new UsageError(mistakes[0]);
  const left = mistakes.map((mistake) => `${mistake}; it is left out, correct the arguments of the service`);
  const complaints = [...found, ...left];
  const complain = (message: string) => void complaints.push(message);
  const loaded = readConfiguration(context, forgive, complain);
  return { pid, stateFile, taken, handed, cwd, context, returned, forgive, complaints, loaded };
}

/** @throws StartError unless mistakes are forgiven; then they are told */
function readConfiguration(
  context: StartContext,
  forgive: () => boolean,
  complain: (message: string) => void,
): LoadedSettings<Settings> {
  const { sys, paths: { config } } = context;
  const silent = silentMountOf(sys, config, "end");
  if (silent === undefined) {
    return unless(
      forgive,
      () => readSettings(context, LOCK_SETTINGS),
      () => forgiveConfiguration(context, LOCK_SETTINGS, complain),
    );
  }
  const message = `Read configuration ${config}: ${silent} does not answer`;
  if (!forgive()) throw new StartError(ExitCode.INITIALISATION, message);
  complain(message);
  return { settings: LOCK_SETTINGS.defaults, warnings: [] };
}
