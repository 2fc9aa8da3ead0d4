import { defaultPaths, type Paths } from "../config/paths.ts";
import { ConfigError } from "../config/config_error.ts";
import { parseConfigFile, placeOfKey, scanConfigFile } from "../config/config_file.ts";
import type { Identity } from "../config/identity.ts";
import type { DaemonOptions } from "../config/options.ts";
import {
  type CommonSettings,
  type LoadedSettings,
  loadSettings,
  type SettingsSchema,
} from "../config/settings.ts";
import { EventLoop } from "../event/event_loop.ts";
import { LogConfigError, type LogSource } from "../log/log_config_error.ts";
import { type LoggingSettings, resolveLogging } from "../log/log_settings.ts";
import { LogSystem } from "../log/log_system.ts";
import { O_NONBLOCK, S_IFIFO, S_IFMT } from "../../os/constants.ts";
import { EINVAL, ENOENT } from "../../os/errno.ts";
import { DescriptorLedger } from "../../os/ledger.ts";
import { SystemError } from "../../os/system_error.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import { decodeText } from "../../os/text.ts";
import { ExitCode, StartError, startFailure } from "./start_error.ts";
import { returnSpareMemory } from "./spare_memory.ts";
import { absolute } from "./self.ts";
import { readWhole } from "../../os/read_file.ts";

/** Environment as a lookup table. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything that is known before the daemon is built. */
export interface StartContext {
  readonly sys: Sys;
  readonly options: DaemonOptions;
  readonly env: Environment;
  readonly uid: number;
  readonly paths: Paths;
}

/** Finds this user's files. @throws StartError */
export function startContext(
  identity: Identity,
  sys: Sys,
  options: DaemonOptions,
  env: Environment,
  cwd: string,
): StartContext {
  const uid = sys.uid();
  try {
    const paths = defaultPaths(identity, { uid, env, exists: (path) => sys.access(path, 0) === 0 });
    return {
      sys,
      options,
      env,
      uid,
      paths: {
        ...paths,
        // The daemon changes to the root directory, so what was given relative to the caller's is made
        // absolute now.
        config: options.config === undefined ? paths.config : absolute(options.config, cwd),
        pidFile: options.pidFile === undefined ? paths.pidFile : absolute(options.pidFile, cwd),
      },
    };
  } catch (error) {
    throw usage(error);
  }
}

/** This user's files; undefined when they cannot be told, which makes a start fail. */
export function knownPaths(...context: Parameters<typeof startContext>): Paths | undefined {
  try {
    return startContext(...context).paths;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return undefined;
  }
}

/**
 * Reads the configuration file. One that was not named need not exist.
 *
 * @throws StartError with file, line and what was expected
 */
export function readSettings<S extends CommonSettings>(
  context: StartContext,
  schema: SettingsSchema<S>,
): LoadedSettings<S> {
  const text = readConfigText(context);
  try {
    return loadSettings(schema, parseConfigFile(text, context.paths.config));
  } catch (error) {
    throw usage(error);
  }
}

/** Bytes of a configuration file. A link to a device like /dev/zero has no end. */
const LARGEST_CONFIGURATION = 1 << 20;

/** The configuration file; "" where there is none and none was named. @throws StartError */
export function readConfigText(context: StartContext): string {
  try {
    refuseFifo(context);
    // A FIFO that comes in its place now would hold up the start until somebody writes into it.
    return decodeText(readWhole(context.sys, context.paths.config, O_NONBLOCK, LARGEST_CONFIGURATION));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (context.options.config === undefined && error.errno === ENOENT) return "";
    throw new StartError(ExitCode.USAGE, `Read configuration: ${error.message}`, { cause: error });
  }
}

/** Nobody may have written into it yet, and it would pass for an empty file. @throws SystemError */
function refuseFifo({ sys, paths: { config } }: StartContext): void {
  const status = emptyStatus();
  const isFifo = sys.stat(config, status) === 0 && (status.mode & S_IFMT) === S_IFIFO;
  if (isFifo) throw new SystemError("read", `${config}, which is a FIFO and no file`, -EINVAL);
}

/** The configuration, from one reading of the file. */
export interface Configuration<S> {
  readonly loaded: LoadedSettings<S>;
  readonly logging: LoggingSettings;
}

/**
 * Reads the configuration file and decides on logging.
 *
 * @param terminal whether standard input is one
 * @throws StartError
 */
export function readConfiguration<S extends CommonSettings>(
  context: StartContext,
  schema: SettingsSchema<S>,
  terminal: boolean,
): Configuration<S> {
  const loaded = readSettings(context, schema);
  return { loaded, logging: loggingFor(context, loaded, terminal) };
}

/** Decides what is logged where. @throws StartError */
export function loggingFor(
  context: StartContext,
  { settings }: LoadedSettings<CommonSettings>,
  terminal: boolean,
): LoggingSettings {
  try {
    return resolveLogging({
      verbose: context.options.verbose,
      env: context.env,
      settings,
      daemonMode: context.options.daemon,
      stdinIsTerminal: terminal,
      journaldPresent: context.sys.access("/run/systemd/journal/socket", 0) === 0,
      logFile: context.paths.logFile,
    });
  } catch (error) {
    if (!(error instanceof LogConfigError)) throw error;
    // A variable is named in the message.
    const place = error.source?.kind === "key" ? placeOf(context, error.source) : "";
    throw new StartError(ExitCode.USAGE, `${place}${error.message}`, { cause: error });
  }
}

/**
 * Has the log written as it was decided.
 *
 * @throws StartError with file and line when an output cannot be opened; everything then stays as it was
 */
export function configureLog(context: StartContext, logs: LogSystem, settings: LoggingSettings): void {
  try {
    logs.configure(settings);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw cannotOpenOutput(context, settings, error.message, error);
  }
}

/** The error of a log output that cannot be opened. @param reason why */
export function cannotOpenOutput(
  context: StartContext,
  { outputsSource }: Pick<LoggingSettings, "outputsSource">,
  reason: string,
  cause?: SystemError,
): StartError {
  const message = `${placeOf(context, outputsSource)}a log output cannot be opened: ${reason}`;
  return new StartError(ExitCode.USAGE, message, { cause });
}

/** How a message about a setting begins: with file and line of the key, or with the variable. */
function placeOf(context: StartContext, source: LogSource): string {
  switch (source.kind) {
    case "default":
      return "";
    case "variable":
      return `${source.name}: `;
    case "key": {
      const { config } = context.paths;
      return `${placeOfKey(scanConfigFile(readConfigText(context), config).entries, source.name, config)}: `;
    }
  }
}

/** The log system of a daemon that starts. */
export function startLogging({ name }: Identity, sys: Sys): LogSystem {
  return new LogSystem({ sys, pid: sys.pid(), ident: name, clock: () => Date.now() });
}

/** Event loop and ledger; the loop's descriptors are in the ledger. @throws StartError */
export function startLoop(sys: Sys): { loop: EventLoop; ledger: DescriptorLedger } {
  try {
    const loop = new EventLoop(sys);
    const ledger = new DescriptorLedger(sys);
    for (const fd of loop.descriptors) ledger.own(fd, "event-loop");
    returnSpareMemory(sys, loop, ledger);
    return { loop, ledger };
  } catch (error) {
    throw startFailure(error);
  }
}

function usage(error: unknown): unknown {
  if (error instanceof ConfigError) {
    return new StartError(ExitCode.USAGE, error.message, { cause: error });
  }
  return error;
}
