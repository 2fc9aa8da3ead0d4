import type { ConfigEntry } from "../../chassis/config/config_file.ts";
import { readInteger, readText, wrongValue } from "../../chassis/config/setting_values.ts";
import {
  COMMON_DEFAULTS,
  COMMON_KEYS,
  type CommonSettings,
  type SettingReader,
  type SettingsSchema,
} from "../../chassis/config/settings.ts";

/** How the clients of a socket prove that they may be served; undefined: what the host makes possible. */
export type AuthSetting = "none" | "polkit" | undefined;

/** What the storage daemon's configuration file sets. Times are in seconds, permissions mode bits. */
export interface Settings extends CommonSettings {
  readonly maxAnonymousClients: number;
  /** Calls of one client that are served at once. */
  readonly maxClientRequests: number;
  readonly socketGroup: string | undefined;
  readonly socketDirectory: string | undefined;
  readonly readOnlyPermissions: number | undefined;
  readonly permissions: number | undefined;
  readonly adminPermissions: number;
  readonly authReadOnly: AuthSetting;
  readonly auth: AuthSetting;
  /** Silence after which a client is asked whether it is still there; 0: never. */
  readonly keepaliveInterval: number;
  /** Unanswered questions after which it is given up. */
  readonly keepaliveCount: number;
  /** How long a stream may stand still because of its client; 0: for ever. */
  readonly streamIdleTimeout: number;
  /** Time limit of an operation that storage answers at once when it is well. */
  readonly storageTimeout: number;
  /** Whether a pool whose refresh fails is stopped, as libvirt's own daemon does. */
  readonly stopOnFailedRefresh: boolean;
}

const MOST_U32 = 0xffff_ffff;
const LONGEST_TIMEOUT = 86_400;

/** Keys that libvirt's daemon has and that mean nothing here, where one thread serves everybody. */
const WITHOUT_EFFECT = [
  "max_queued_clients",
  "min_workers",
  "max_workers",
  "prio_workers",
  "admin_min_workers",
  "admin_max_workers",
  "admin_max_queued_clients",
  "admin_max_client_requests",
  "admin_keepalive_interval",
  "admin_keepalive_count",
  "keepalive_required",
  "admin_keepalive_required",
  "audit_level",
  "audit_logging",
  "ovs_timeout",
] as const;

/** Keys that would keep somebody out, and are not there: to ignore them would be to let everybody in. */
const REFUSED = [
  "sasl_allowed_username_list",
  "auth_tcp",
  "auth_tls",
  "listen_tls",
  "listen_tcp",
  "tls_allowed_dn_list",
  "tls_no_verify_certificate",
] as const;

/** Keys of virtstoraged.conf and what they are without it. */
export const STORAGE_SETTINGS: SettingsSchema<Settings> = {
  defaults: {
    ...COMMON_DEFAULTS,
    maxClients: 5000,
    maxAnonymousClients: 20,
    maxClientRequests: 5,
    socketGroup: undefined,
    socketDirectory: undefined,
    readOnlyPermissions: undefined,
    permissions: undefined,
    adminPermissions: 0o700,
    authReadOnly: undefined,
    auth: undefined,
    keepaliveInterval: 5,
    keepaliveCount: 5,
    streamIdleTimeout: 600,
    storageTimeout: 30,
    stopOnFailedRefresh: false,
  },
  keys: new Map<string, SettingReader<Settings>>([
    ...COMMON_KEYS,
    ["max_anonymous_clients", (entry) => ({ maxAnonymousClients: readInteger(entry, 1, MOST_U32) })],
    ["max_client_requests", (entry) => ({ maxClientRequests: readInteger(entry, 1, 1000) })],
    ["unix_sock_group", (entry) => ({ socketGroup: readText(entry) })],
    ["unix_sock_dir", (entry) => ({ socketDirectory: readDirectory(entry) })],
    ["unix_sock_ro_perms", (entry) => ({ readOnlyPermissions: readPermissions(entry) })],
    ["unix_sock_rw_perms", (entry) => ({ permissions: readPermissions(entry) })],
    ["unix_sock_admin_perms", (entry) => ({ adminPermissions: readPermissions(entry) ?? 0o700 })],
    ["auth_unix_ro", (entry) => ({ authReadOnly: readAuth(entry) })],
    ["auth_unix_rw", (entry) => ({ auth: readAuth(entry) })],
    ["access_drivers", readAccessDrivers],
    ["keepalive_interval", (entry) => ({ keepaliveInterval: readKeepalive(entry) })],
    ["keepalive_count", (entry) => ({ keepaliveCount: readInteger(entry, 0, MOST_U32) })],
    ["stream_idle_timeout", (entry) => ({ streamIdleTimeout: readInteger(entry, 0, LONGEST_TIMEOUT) })],
    ["storage_timeout", (entry) => ({ storageTimeout: readInteger(entry, 1, LONGEST_TIMEOUT) })],
    ["stop_on_failed_refresh", (entry) => ({ stopOnFailedRefresh: readInteger(entry, 0, 1) === 1 })],
    ["host_uuid", nothing],
    ["host_uuid_source", nothing],
    ...WITHOUT_EFFECT.map((key) => [key, nothing] as const),
    ...REFUSED.map((key) => [key, refuse] as const),
  ]),
};

function nothing(): Partial<Settings> {
  return {};
}

function refuse(entry: ConfigEntry): never {
  throw wrongValue(entry, "no value at all, for this daemon cannot do what it says,");
}

/** -1 switches the questions off, as in libvirt. */
function readKeepalive(entry: ConfigEntry): number {
  return Math.max(0, readInteger(entry, -1, LONGEST_TIMEOUT));
}

function readDirectory(entry: ConfigEntry): string | undefined {
  const text = readText(entry);
  if (text === undefined || text.startsWith("/")) return text?.replace(/(?<=.)\/+$/, "");
  throw wrongValue(entry, "an absolute path");
}

function readPermissions(entry: ConfigEntry): number | undefined {
  const text = readText(entry);
  if (text === undefined) return undefined;
  if (!/^0?[0-7]{3}$/.test(text)) throw wrongValue(entry, 'permissions in octal, such as "0700",');
  return parseInt(text, 8);
}

function readAuth(entry: ConfigEntry): AuthSetting {
  const text = readText(entry);
  if (text === undefined || text === "none" || text === "polkit") return text;
  throw wrongValue(entry, '"none" or "polkit", for this daemon knows no other way,');
}

/** An access driver that is not there would let everybody do everything. */
function readAccessDrivers(entry: ConfigEntry): Partial<Settings> {
  const { value } = entry;
  const drivers = value.kind === "list" ? value.items : undefined;
  const none = drivers?.every((driver) =>
    driver.kind === "string" && (driver.value === "" || driver.value === "none")
  );
  if (none === true) return {};
  throw wrongValue(entry, "an empty list, for this daemon has no access drivers,");
}
