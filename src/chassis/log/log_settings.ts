import type { CommonSettings } from "../config/settings.ts";
import { parseFilters } from "./filters.ts";
import { DEFAULT_LEVEL, INFO, levelOfNumber, type LogLevel, parseLevelSetting } from "./levels.ts";
import { LogConfigError, type LogSource } from "./log_config_error.ts";
import { formatOutput, type OutputSpec, parseOutputs } from "./outputs.ts";

/** Everything that decides where log messages go. */
export interface LoggingSources {
  /** --verbose was given. */
  readonly verbose: boolean;
  /** LIBVIRT_DEBUG, LIBVIRT_LOG_FILTERS and LIBVIRT_LOG_OUTPUTS are read; an empty one counts as unset. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the configuration file says. */
  readonly settings: Partial<Pick<CommonSettings, "logLevel" | "logFilters" | "logOutputs">>;
  /** --daemon was given. */
  readonly daemonMode: boolean;
  readonly stdinIsTerminal: boolean;
  /** Whether journald's socket is there. */
  readonly journaldPresent: boolean;
  /** Absolute path of the default log file. */
  readonly logFile: string;
}

/** What the log system is to do. Filters and outputs are valid texts. */
export interface LoggingSettings {
  readonly level: LogLevel;
  readonly filters: string;
  readonly outputs: string;
  /** What names the outputs. */
  readonly outputsSource: LogSource;
  /** The output that counts when an administrator clears the list. */
  readonly defaultOutputs: string;
}

/**
 * Decides level, filters and outputs: the environment goes before the file, --verbose lowers the level to 2,
 * and an output that nobody named depends on how the daemon was started (docs/behaviour.md, Logging).
 *
 * @throws LogConfigError naming the variable or the key, and what is wrong with its value
 */
export function resolveLogging(sources: LoggingSources): LoggingSettings {
  const { env, settings, verbose } = sources;
  const configured = levelFrom(env["LIBVIRT_DEBUG"], settings.logLevel);
  const level = verbose && configured > INFO ? INFO : configured;
  const filters = firstText(env, "LIBVIRT_LOG_FILTERS", "log_filters", settings.logFilters);
  const outputs = firstText(env, "LIBVIRT_LOG_OUTPUTS", "log_outputs", settings.logOutputs);
  const defaultOutputs = formatOutput(defaultOutput(sources, level));
  valid(filters, "LEVEL:NAME", parseFilters);
  const named = valid(outputs, OUTPUT_FORMS, parseOutputs);
  return {
    level,
    filters: filters.text,
    ...named.length === 0
      ? { outputs: defaultOutputs, outputsSource: { kind: "default" } }
      : { outputs: outputs.text, outputsSource: outputs.source },
    defaultOutputs,
  };
}

function levelFrom(variable: string | undefined, key: number | undefined): LogLevel {
  if (variable !== undefined && variable !== "") {
    const level = parseLevelSetting(variable);
    if (level !== undefined) return level;
    throw new LogConfigError(
      `Invalid LIBVIRT_DEBUG: got '${variable}', want 1 to 4 or debug, info, warning, error`,
      { kind: "variable", name: "LIBVIRT_DEBUG" },
    );
  }
  if (key === undefined) return DEFAULT_LEVEL;
  const level = levelOfNumber(key);
  if (level !== undefined) return level;
  throw new LogConfigError(`Invalid log_level: got ${key}, want 1 to 4`, { kind: "key", name: "log_level" });
}

/** A text and what it is from. */
interface SourcedText {
  readonly source: Exclude<LogSource, { kind: "default" }>;
  readonly text: string;
}

function firstText(
  env: LoggingSources["env"],
  variable: string,
  key: string,
  value: string | undefined,
): SourcedText {
  const text = env[variable] ?? "";
  return text === ""
    ? { source: { kind: "key", name: key }, text: value ?? "" }
    : { source: { kind: "variable", name: variable }, text };
}

const OUTPUT_FORMS = "LEVEL:stderr, LEVEL:journald, LEVEL:syslog:NAME or LEVEL:file:PATH";

/** The result of a parser; its error then says where the text came from, and what was expected there. */
function valid<T>({ source, text }: SourcedText, forms: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof LogConfigError)) throw error;
    throw new LogConfigError(
      `Invalid ${source.name}: ${error.message}; expected ${forms} with a level from 1 (debug) to 4 (error)`,
      source,
    );
  }
}

function defaultOutput(sources: LoggingSources, level: LogLevel): OutputSpec {
  const { daemonMode, journaldPresent, stdinIsTerminal, logFile } = sources;
  if (journaldPresent && (daemonMode || !stdinIsTerminal)) {
    // Debug messages would push everything else out of the journal.
    return { kind: "journald", level: level < INFO ? INFO : level };
  }
  return daemonMode ? { kind: "file", level, path: logFile } : { kind: "stderr", level };
}
