import { ConfigError } from "./config_error.ts";
import { type LogLevel, parseLogLevel } from "./log_level.ts";
import { quote } from "./quote.ts";
import type { Settings, Sourced } from "./settings.ts";

const DEFAULT_LEVEL: LogLevel = 3;
const VERBOSE_LEVEL: LogLevel = 2;

/** What is to be logged and where to, after all sources have been heard. */
export interface LogChoice {
  /** The lowest level that is logged where no filter says otherwise. */
  readonly level: LogLevel;
  /** Filters as written, not checked here; undefined where nobody sets any. */
  readonly filters: Sourced<string> | undefined;
  /** Outputs as written, not checked here; undefined where nobody sets any, so that the default one is due. */
  readonly outputs: Sourced<string> | undefined;
}

/**
 * Settles the log settings: the environment goes before the configuration file, and `--verbose` lowers the level to
 * info where it is higher. A variable that is set but empty counts as not set.
 *
 * @param settings what the configuration file says
 * @param env the environment: LIBVIRT_DEBUG, LIBVIRT_LOG_FILTERS, LIBVIRT_LOG_OUTPUTS are read
 * @param verbose whether `--verbose` was given
 * @throws ConfigError when LIBVIRT_DEBUG names no level (source: behaviour.md, Logging)
 */
export function chooseLogging(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
  verbose: boolean,
): LogChoice {
  const level = levelFromEnv(env) ?? settings.logLevel?.value ?? DEFAULT_LEVEL;
  return {
    level: verbose && level > VERBOSE_LEVEL ? VERBOSE_LEVEL : level,
    filters: textFromEnv(env, "LIBVIRT_LOG_FILTERS") ?? settings.logFilters,
    outputs: textFromEnv(env, "LIBVIRT_LOG_OUTPUTS") ?? settings.logOutputs,
  };
}

function levelFromEnv(env: Readonly<Record<string, string | undefined>>): LogLevel | undefined {
  const text = env["LIBVIRT_DEBUG"] ?? "";
  if (text === "") return undefined;
  const level = parseLogLevel(text);
  if (level === undefined) {
    throw new ConfigError("LIBVIRT_DEBUG", "1 to 4, or debug, info, warning or error", quote(text));
  }
  return level;
}

function textFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
): Sourced<string> | undefined {
  const value = env[name] ?? "";
  return value.trim() === "" ? undefined : { value, origin: name };
}
