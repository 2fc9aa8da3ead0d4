import { ConfigError } from "./config_error.ts";
import { type ConfigEntry, type ConfigValue, scanConfigFile } from "./config_file.ts";
import { nearest } from "./edit_distance.ts";
import { isLogLevel, type LogLevel } from "./log_level.ts";
import { quote } from "./quote.ts";

/** A value and where it was set. */
export interface Sourced<T> {
  /** The value itself. */
  readonly value: T;
  /** `FILE:LINE`, or the name of an environment variable. */
  readonly origin: string;
}

/**
 * What the configuration file sets. A log key that is not set is undefined, so that other sources can fill
 * it.
 */
export interface Settings {
  /** The lowest level that is logged. */
  readonly logLevel: Sourced<LogLevel> | undefined;
  /** Filters as written, not checked here, never empty. */
  readonly logFilters: Sourced<string> | undefined;
  /** Outputs as written, not checked here, never empty. */
  readonly logOutputs: Sourced<string> | undefined;
  /** How many clients the lock server serves at once. */
  readonly maxClients: number;
  /** How many clients the admin server serves at once. */
  readonly adminMaxClients: number;
  /** Time limit of an operation on network storage, in seconds. */
  readonly storageTimeout: number;
  /** Whether a paused guest may be resumed although another one has used its disk meanwhile. */
  readonly allowStaleResume: boolean;
  /**
   * How long the lock of an owner that is gone stays when nobody can tell whether its last writes have
   * landed, in seconds.
   */
  readonly settleTimeout: number;
  /**
   * Directories in which lease files are made, with what has to be mounted there (`server:/export`);
   * undefined: anything.
   */
  readonly lockspaces: ReadonlyMap<string, string | undefined>;
}

/** The settings of a daemon without a configuration file. */
export const DEFAULT_SETTINGS: Settings = {
  logLevel: undefined,
  logFilters: undefined,
  logOutputs: undefined,
  maxClients: 1024,
  adminMaxClients: 5000,
  storageTimeout: 10,
  settleTimeout: 30,
  allowStaleResume: false,
  lockspaces: new Map(),
};

/** What {@link loadSettings} made of a file. */
export interface LoadedSettings {
  /** All settings; what the file leaves out has its default. */
  readonly settings: Settings;
  /** One line for each thing in the file that is odd but harmless. */
  readonly warnings: readonly string[];
}

/** libvirt keeps client limits in a u32 and so does the admin protocol. */
const MOST_CLIENTS = 0xffff_ffff;
const LONGEST_STORAGE_TIMEOUT = 3600;
const LONGEST_SETTLE_TIMEOUT = 86_400;

/** What each key does to the settings. */
const KEYS = new Map<string, (entry: ConfigEntry) => Partial<Settings>>([
  ["log_level", (entry) => ({ logLevel: readLogLevel(entry) })],
  ["log_filters", (entry) => ({ logFilters: readText(entry) })],
  ["log_outputs", (entry) => ({ logOutputs: readText(entry) })],
  ["max_clients", (entry) => ({ maxClients: readInteger(entry, 1, MOST_CLIENTS) })],
  ["admin_max_clients", (entry) => ({ adminMaxClients: readInteger(entry, 1, MOST_CLIENTS) })],
  ["storage_timeout", (entry) => ({ storageTimeout: readInteger(entry, 1, LONGEST_STORAGE_TIMEOUT) })],
  ["settle_timeout", (entry) => ({ settleTimeout: readInteger(entry, 0, LONGEST_SETTLE_TIMEOUT) })],
  ["allow_stale_resume", (entry) => ({ allowStaleResume: readInteger(entry, 0, 1) === 1 })],
  ["lockspaces", (entry) => ({ lockspaces: readLockspaces(entry) })],
]);

/** The keys that the configuration file may set. */
export const SETTING_KEYS: readonly string[] = [...KEYS.keys()];

/**
 * Reads the settings out of a parsed configuration file. Of a key that is there twice the last one counts;
 * that and an unknown key give a warning.
 *
 * @param entries what {@link parseConfigFile} returned
 * @throws ConfigError with file and line for a value of the wrong type or out of range
 */
export function loadSettings(entries: readonly ConfigEntry[]): LoadedSettings {
  const { settings, warnings, errors: [error] } = collectSettings(entries);
  if (error !== undefined) throw error;
  return { settings, warnings };
}

/** What could be made of a file that has mistakes. */
export interface ForgivenSettings extends LoadedSettings {
  readonly errors: readonly ConfigError[];
}

/**
 * Reads as much as can be read of a configuration file: every mistake is told, and a setting that is wrong
 * has its default.
 */
export function forgiveSettings(text: string, fileName: string): ForgivenSettings {
  const { entries, error } = scanConfigFile(text, fileName);
  const collected = collectSettings(entries);
  return error === undefined ? collected : { ...collected, errors: [...collected.errors, error] };
}

function collectSettings(entries: readonly ConfigEntry[]): ForgivenSettings {
  let settings = DEFAULT_SETTINGS;
  const warnings: string[] = [];
  const errors: ConfigError[] = [];
  const seen = new Map<string, ConfigEntry>();
  for (const entry of entries) {
    const read = KEYS.get(entry.key);
    if (read === undefined) {
      const known = nearest(entry.key, SETTING_KEYS);
      warnings.push(
        `${entry.place}: unknown key ${quote(entry.key)} ignored, the nearest known one is "${known}"`,
      );
      continue;
    }
    const earlier = seen.get(entry.key);
    // A wrong value is an error wherever it stands.
    let setting: Partial<Settings>;
    try {
      setting = read(entry);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      errors.push(error);
      continue;
    }
    if (earlier !== undefined) {
      warnings.push(`${entry.place}: key "${entry.key}" ignored, it was set at ${earlier.place}`);
      continue;
    }
    seen.set(entry.key, entry);
    settings = { ...settings, ...setting };
  }
  return { settings, warnings, errors };
}

/** libvirt takes 0 for "not set", and files in use have it. */
function readLogLevel(entry: ConfigEntry): Sourced<LogLevel> | undefined {
  const { value } = entry;
  if (value.kind === "integer" && value.value === 0) return undefined;
  if (value.kind === "integer" && isLogLevel(value.value)) return { value: value.value, origin: entry.place };
  throw wrongValue(entry, "an integer from 1 (debug) to 4 (error)");
}

/** An empty string means the same as no key at all. */
function readText(entry: ConfigEntry): Sourced<string> | undefined {
  const { value } = entry;
  if (value.kind !== "string") throw wrongValue(entry, "a string");
  return value.value.trim() === "" ? undefined : { value: value.value, origin: entry.place };
}

function readInteger(entry: ConfigEntry, least: number, most: number): number {
  const { value } = entry;
  if (value.kind === "integer" && value.value >= least && value.value <= most) return value.value;
  throw wrongValue(entry, `an integer from ${least} to ${most}`);
}

/** A directory, and behind a `=` what has to be mounted there. */
function readLockspaces(entry: ConfigEntry): Map<string, string | undefined> {
  const { value } = entry;
  if (value.kind !== "list") throw wrongValue(entry, "a list of strings");
  const directories = new Map<string, string | undefined>();
  for (const item of value.items) {
    const [, path, source] = item.kind === "string" ? /^(\/[^=]*?)\/*(?:=(.+))?$/.exec(item.value) ?? [] : [];
    if (path === undefined) {
      const wanted = `strings "/DIRECTORY" or "/DIRECTORY=SOURCE" for "${entry.key}"`;
      throw new ConfigError(entry.place, wanted, describe(item));
    }
    directories.set(path, source);
  }
  return directories;
}

function wrongValue(entry: ConfigEntry, wanted: string): ConfigError {
  return new ConfigError(entry.place, `${wanted} for "${entry.key}"`, describe(entry.value));
}

function describe(value: ConfigValue): string {
  switch (value.kind) {
    case "string":
      return `the string ${quote(value.value)}`;
    case "integer":
      return String(value.value);
    case "list":
      return "a list";
  }
}
