import { plainPath } from "../../base/plain_path.ts";
import type { ConfigEntry } from "../../chassis/config/config_file.ts";
import { readInteger, wrongValue } from "../../chassis/config/setting_values.ts";
import {
  COMMON_DEFAULTS,
  COMMON_KEYS,
  type CommonSettings,
  type SettingReader,
  type SettingsSchema,
} from "../../chassis/config/settings.ts";
import { CLUSTER_DEFAULTS, CLUSTER_KEYS, CLUSTER_PREFIX, type ClusterSettings } from "./cluster_settings.ts";

/** What the lock daemon's configuration file sets. */
export interface Settings extends CommonSettings, ClusterSettings {
  /** Time limit of an operation on network storage, in seconds. */
  readonly storageTimeout: number;
  /** Whether a paused guest may be resumed although another one has used its disk meanwhile. */
  readonly allowStaleResume: boolean;
  /** Guests that may be resumed so whatever the others may, by their names or uuids. */
  readonly staleResumeGuests: readonly string[];
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

const LONGEST_STORAGE_TIMEOUT = 3600;
const LONGEST_SETTLE_TIMEOUT = 86_400;

/** Keys of virtlockd.conf and what they are without it. */
export const LOCK_SETTINGS: SettingsSchema<Settings> = {
  defaults: {
    ...COMMON_DEFAULTS,
    maxClients: 1024,
    storageTimeout: 10,
    settleTimeout: 30,
    allowStaleResume: false,
    staleResumeGuests: [],
    lockspaces: new Map(),
    ...CLUSTER_DEFAULTS,
  },
  keys: new Map<string, SettingReader<Settings>>([
    ...COMMON_KEYS,
    ["storage_timeout", (entry) => ({ storageTimeout: readInteger(entry, 1, LONGEST_STORAGE_TIMEOUT) })],
    ["settle_timeout", (entry) => ({ settleTimeout: readInteger(entry, 0, LONGEST_SETTLE_TIMEOUT) })],
    ["allow_stale_resume", (entry) => ({ allowStaleResume: readInteger(entry, 0, 1) === 1 })],
    ["stale_resume_guests", (entry) => ({ staleResumeGuests: readGuests(entry) })],
    ["lockspaces", (entry) => ({ lockspaces: readLockspaces(entry) })],
    ...CLUSTER_KEYS,
  ]),
  guarded: { prefix: CLUSTER_PREFIX, mistaken: (clusterMistake) => ({ clusterMistake }) },
};

function readGuests(entry: ConfigEntry): string[] {
  const { value } = entry;
  if (value.kind !== "list") throw wrongValue(entry, "a list of strings");
  return value.items.map((item) => {
    if (item.kind === "string" && item.value.trim() !== "") return item.value;
    throw wrongValue(entry, "names or UUIDs of guests", item);
  });
}

/** A directory, and behind a `=` what has to be mounted there. */
function readLockspaces(entry: ConfigEntry): Map<string, string | undefined> {
  const { value } = entry;
  if (value.kind !== "list") throw wrongValue(entry, "a list of strings");
  const directories = new Map<string, string | undefined>();
  for (const item of value.items) {
    const [, path, source] = item.kind === "string" ? /^(\/[^=]*)(?:=(.+))?$/.exec(item.value) ?? [] : [];
    if (path === undefined) {
      throw wrongValue(entry, 'strings "/DIRECTORY" or "/DIRECTORY=SOURCE"', item);
    }
    directories.set(plainPath(path), source);
  }
  return directories;
}
