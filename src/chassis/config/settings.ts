import { ConfigError } from "./config_error.ts";
import { type ConfigEntry, scanConfigFile } from "./config_file.ts";
import { editDistance, nearest } from "./edit_distance.ts";
import { quote } from "./quote.ts";
import { readInteger, readText, wrongValue } from "./setting_values.ts";

/**
 * What every daemon's configuration file may set. A log key that is not set is undefined, so that other
 * sources can fill it.
 */
export interface CommonSettings {
  /** The lowest level that is logged, 1 to 4. */
  readonly logLevel: number | undefined;
  /** Filters as written, not checked here, never empty. */
  readonly logFilters: string | undefined;
  /** Outputs as written, not checked here, never empty. */
  readonly logOutputs: string | undefined;
  /** How many clients the daemon's own server serves at once. */
  readonly maxClients: number;
  /** How many clients the admin server serves at once. */
  readonly adminMaxClients: number;
}

/** What a key does to a daemon's settings. Throws ConfigError for a wrong value. */
export type SettingReader<S> = (entry: ConfigEntry) => Partial<S>;

/** The readers of a daemon's keys, by name. */
export type SettingKeys<S> = ReadonlyMap<string, SettingReader<S>>;

/** What a daemon's configuration file may set. The daemon's own value. */
export interface SettingsSchema<S extends CommonSettings> {
  /** The settings without a configuration file. */
  readonly defaults: S;
  /** All keys, those that every daemon has among them. */
  readonly keys: SettingKeys<S>;
  /** Keys of which none may be passed over: an unknown one is a mistake like a wrong value. */
  readonly guarded?: {
    /** How they begin, in small letters. One that begins nearly so is taken for one of them. */
    readonly prefix: string;
    /** What the settings are where a mistake with one of them has to be lived with. */
    readonly mistaken: (mistake: string) => Partial<S>;
  };
}

/** libvirt keeps client limits in a u32 and so does the admin protocol. */
const MOST_CLIENTS = 0xffff_ffff;

/** The keys that every daemon has. */
export const COMMON_KEYS: SettingKeys<CommonSettings> = new Map<string, SettingReader<CommonSettings>>([
  ["log_level", (entry) => ({ logLevel: readLogLevel(entry) })],
  ["log_filters", (entry) => ({ logFilters: readText(entry) })],
  ["log_outputs", (entry) => ({ logOutputs: readText(entry) })],
  ["max_clients", (entry) => ({ maxClients: readInteger(entry, 1, MOST_CLIENTS) })],
  ["admin_max_clients", (entry) => ({ adminMaxClients: readInteger(entry, 1, MOST_CLIENTS) })],
]);

/** What no daemon has a default of its own for. */
export const COMMON_DEFAULTS = {
  logLevel: undefined,
  logFilters: undefined,
  logOutputs: undefined,
  adminMaxClients: 5000,
} as const satisfies Partial<CommonSettings>;

/** What {@link loadSettings} made of a file. */
export interface LoadedSettings<S> {
  /** All settings; what the file leaves out has its default. */
  readonly settings: S;
  /** One line for each thing in the file that is odd but harmless. */
  readonly warnings: readonly string[];
}

/**
 * Reads the settings out of a parsed configuration file. Of a key that is there twice the first one
 * counts; that and an unknown key give a warning.
 *
 * @param entries what {@link parseConfigFile} returned
 * @throws ConfigError with file and line for a value of the wrong type or out of range
 */
export function loadSettings<S extends CommonSettings>(
  schema: SettingsSchema<S>,
  entries: readonly ConfigEntry[],
): LoadedSettings<S> {
  const { settings, warnings, errors: [error] } = collectSettings(schema, entries);
  if (error !== undefined) throw error;
  return { settings, warnings };
}

/** What could be made of a file that has mistakes. */
export interface ForgivenSettings<S> extends LoadedSettings<S> {
  readonly errors: readonly ConfigError[];
}

/**
 * Reads as much as can be read of a configuration file: every mistake is told, and a setting that is wrong
 * has its default.
 */
export function forgiveSettings<S extends CommonSettings>(
  schema: SettingsSchema<S>,
  text: string,
  fileName: string,
): ForgivenSettings<S> {
  const { entries, error } = scanConfigFile(text, fileName);
  const collected = collectSettings(schema, entries);
  if (error === undefined) return collected;
  const errors = [...collected.errors, error];
  const { guarded } = schema;
  // The rest of the file cannot be read, and may have such a key.
  if (guarded === undefined || !text.includes(guarded.prefix)) return { ...collected, errors };
  return { ...collected, settings: { ...collected.settings, ...guarded.mistaken(error.message) }, errors };
}

/** As many letters may be wrong in the beginning of a key that is taken for a guarded one. */
const SLIP = 1;

/** Whether a key begins with a prefix, or with what was meant to be that. */
function isMeant(prefix: string, key: string): boolean {
  const written = key.toLowerCase();
  if (written.startsWith(prefix)) return true;
  return [-1, 0, 1].some((more) => editDistance(written.slice(0, prefix.length + more), prefix) <= SLIP);
}

function collectSettings<S extends CommonSettings>(
  { defaults, keys, guarded }: SettingsSchema<S>,
  entries: readonly ConfigEntry[],
): ForgivenSettings<S> {
  let settings = defaults;
  const warnings: string[] = [];
  const errors: ConfigError[] = [];
  const seen = new Map<string, ConfigEntry>();
  for (const entry of entries) {
    const read = keys.get(entry.key);
    const mistaken = (error: ConfigError) => {
      errors.push(error);
      if (guarded === undefined || !isMeant(guarded.prefix, entry.key)) return;
      settings = { ...settings, ...guarded.mistaken(error.message) };
    };
    if (read === undefined) {
      const known = nearest(entry.key.toLowerCase(), [...keys.keys()]);
      if (guarded !== undefined && isMeant(guarded.prefix, entry.key)) {
        mistaken(new ConfigError(entry.place, `a known key, such as "${known}"`, quote(entry.key)));
        continue;
      }
      warnings.push(
        `${entry.place}: unknown key ${quote(entry.key)} ignored, the nearest known one is "${known}"`,
      );
      continue;
    }
    const earlier = seen.get(entry.key);
    // A wrong value is an error wherever it stands.
    let setting: Partial<S>;
    try {
      setting = read(entry);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      mistaken(error);
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
function readLogLevel(entry: ConfigEntry): number | undefined {
  const { value } = entry;
  if (value.kind !== "integer" || value.value < 0 || value.value > 4) {
    throw wrongValue(entry, "an integer from 1 (debug) to 4 (error)");
  }
  return value.value === 0 ? undefined : value.value;
}
