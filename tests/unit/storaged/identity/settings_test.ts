import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";
import { parseConfigFile } from "../../../../src/chassis/config/config_file.ts";
import { loadSettings } from "../../../../src/chassis/config/settings.ts";
import { type Settings, STORAGE_SETTINGS } from "../../../../src/storaged/identity/settings.ts";

/** What a file sets. */
function settings(text: string): Settings {
  return loadSettings(STORAGE_SETTINGS, parseConfigFile(text, "f")).settings;
}

/** Why a file is refused. */
function refusal(text: string): string {
  try {
    settings(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return assert.fail("it was taken");
}

Deno.test("without a file the settings are those of libvirt's daemon", () => {
  assert.deepEqual(settings(""), {
    logLevel: undefined,
    logFilters: undefined,
    logOutputs: undefined,
    adminMaxClients: 5000,
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
  });
});

Deno.test("keys of the sockets are taken as libvirt writes them", () => {
  const read = settings([
    'unix_sock_group = "libvirt"',
    'unix_sock_dir = "/run/x/"',
    'unix_sock_ro_perms = "0770"',
    'unix_sock_rw_perms = "770"',
    'unix_sock_admin_perms = "0750"',
    'auth_unix_ro = "none"',
    'auth_unix_rw = "polkit"',
    "keepalive_interval = -1",
  ].join("\n"));
  assert.equal(read.socketGroup, "libvirt");
  assert.equal(read.socketDirectory, "/run/x");
  assert.deepEqual([read.readOnlyPermissions, read.permissions, read.adminPermissions], [
    0o770,
    0o770,
    0o750,
  ]);
  assert.deepEqual([read.authReadOnly, read.auth, read.keepaliveInterval], ["none", "polkit", 0]);
});

Deno.test("what would keep somebody out and is not there is refused, and not passed over", () => {
  const files = [
    'auth_unix_rw = "sasl"',
    'auth_unix_ro = "sasl"',
    'access_drivers = ["polkit"]',
    'sasl_allowed_username_list = ["joe"]',
    'auth_tls = "none"',
    'tls_allowed_dn_list = ["x"]',
    "listen_tcp = 1",
  ];
  for (const file of files) assert.match(refusal(file), /^f:1: /);
});

Deno.test("permissions that are none, relative paths and numbers out of range are refused", () => {
  for (
    const file of [
      'unix_sock_rw_perms = "rwx"',
      'unix_sock_rw_perms = "7777"',
      'unix_sock_dir = "run"',
      "max_anonymous_clients = 0",
      "max_client_requests = 0",
      "stop_on_failed_refresh = 2",
    ]
  ) assert.match(refusal(file), /^f:1: /);
});

Deno.test("keys of libvirt's daemon that mean nothing here are taken without a word", () => {
  const text = 'max_workers = 20\naudit_level = 1\nhost_uuid = "x"\naccess_drivers = []\nprio_workers = 5\n';
  assert.deepEqual(loadSettings(STORAGE_SETTINGS, parseConfigFile(text, "f")).warnings, []);
});
