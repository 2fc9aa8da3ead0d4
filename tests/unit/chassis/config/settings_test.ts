import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";
import { parseConfigFile } from "../../../../src/chassis/config/config_file.ts";
import { DEFAULT_SETTINGS, loadSettings, SETTING_KEYS } from "../../../../src/chassis/config/settings.ts";

function load(text: string) {
  return loadSettings(parseConfigFile(text, "virtlockd.conf"));
}

Deno.test("loadSettings() returns the defaults when the file sets nothing", () => {
  assert.deepEqual(load("# nothing\n"), {
    settings: {
      logLevel: undefined,
      logFilters: undefined,
      logOutputs: undefined,
      maxClients: 1024,
      adminMaxClients: 5000,
      storageTimeout: 10,
      settleTimeout: 30,
      allowStaleResume: false,
      lockspaces: new Map(),
    },
    warnings: [],
  });
});

Deno.test("loadSettings() reads every key and says where the log keys were set", () => {
  const text = `
    log_level = 1
    log_filters = "1:locking 4:*"
    log_outputs = '3:journald'
    max_clients = 20
    admin_max_clients = 5
    storage_timeout = 60
    settle_timeout = 5
    allow_stale_resume = 1
    lockspaces = [ "/srv/a=nas:/a", '/srv/b', ]
  `;
  assert.deepEqual(load(text), {
    settings: {
      logLevel: { value: 1, origin: "virtlockd.conf:2" },
      logFilters: { value: "1:locking 4:*", origin: "virtlockd.conf:3" },
      logOutputs: { value: "3:journald", origin: "virtlockd.conf:4" },
      maxClients: 20,
      adminMaxClients: 5,
      storageTimeout: 60,
      settleTimeout: 5,
      allowStaleResume: true,
      lockspaces: new Map([["/srv/a", "nas:/a"], ["/srv/b", undefined]]),
    },
    warnings: [],
  });
});

Deno.test("SETTING_KEYS names every key of the file", () => {
  assert.deepEqual(SETTING_KEYS, [
    "log_level",
    "log_filters",
    "log_outputs",
    "max_clients",
    "admin_max_clients",
    "storage_timeout",
    "settle_timeout",
    "allow_stale_resume",
    "lockspaces",
  ]);
});

Deno.test("loadSettings() takes directories of lockspaces without slashes at their end", () => {
  const { lockspaces } =
    load('lockspaces = ["/srv/a//", "/srv/b/=//nas/share", "/=x", "/c=UUID=1"]').settings;
  assert.deepEqual([...lockspaces], [
    ["/srv/a", undefined],
    ["/srv/b", "//nas/share"],
    ["/", "x"],
    ["/c", "UUID=1"],
  ]);
  assert.deepEqual([...load("lockspaces = []").settings.lockspaces], []);
});

Deno.test("loadSettings() refuses what names no directory of a lockspace", () => {
  const wanted = 'strings "/DIRECTORY" or "/DIRECTORY=SOURCE" for "lockspaces"';
  for (const item of ['"srv/a"', '""', '"/srv/a="', "1", '["/a"]']) {
    assert.throws(
      () => load(`lockspaces = [ ${item} ]`),
      (error: unknown) => error instanceof ConfigError && error.message.includes(wanted),
      item,
    );
  }
  assert.throws(() => load('lockspaces = "/srv"'), /a list of strings for "lockspaces"/);
});

Deno.test("loadSettings() accepts the ends of each range", () => {
  assert.equal(load("log_level = 4").settings.logLevel?.value, 4);
  assert.equal(load("max_clients = 1").settings.maxClients, 1);
  assert.equal(load("max_clients = 4294967295").settings.maxClients, 4294967295);
  assert.equal(load("admin_max_clients = 1").settings.adminMaxClients, 1);
  assert.equal(load("admin_max_clients = 4294967295").settings.adminMaxClients, 4294967295);
  assert.equal(load("storage_timeout = 1").settings.storageTimeout, 1);
  assert.equal(load("storage_timeout = 3600").settings.storageTimeout, 3600);
  assert.equal(load("settle_timeout = 0").settings.settleTimeout, 0);
  assert.equal(load("settle_timeout = 86400").settings.settleTimeout, 86400);
});

Deno.test("loadSettings() takes an empty string and log level 0 for not set, as libvirt does", () => {
  const { settings, warnings } = load("log_level = 0\nlog_filters = ''\nlog_outputs = ' '");
  assert.deepEqual(settings, DEFAULT_SETTINGS);
  assert.deepEqual(warnings, []);
});

Deno.test("loadSettings() warns about an unknown key and names the nearest known one", () => {
  const { settings, warnings } = load("max_client = 5\nLOG_LEVEL = 1\nmax_clients = 7\ntls = ['a']");
  assert.equal(settings.maxClients, 7);
  assert.equal(settings.logLevel, undefined);
  assert.deepEqual(warnings, [
    'virtlockd.conf:1: unknown key "max_client" ignored, the nearest known one is "max_clients"',
    'virtlockd.conf:2: unknown key "LOG_LEVEL" ignored, the nearest known one is "log_level"',
    'virtlockd.conf:4: unknown key "tls" ignored, the nearest known one is "log_level"',
  ]);
});

Deno.test("loadSettings() lets the first of several values win and warns", () => {
  const { settings, warnings } = load("max_clients = 5\nlog_level = 2\nmax_clients = 6\nmax_clients = 7");
  assert.equal(settings.maxClients, 5);
  assert.deepEqual(warnings, [
    'virtlockd.conf:3: key "max_clients" ignored, it was set at virtlockd.conf:1',
    'virtlockd.conf:4: key "max_clients" ignored, it was set at virtlockd.conf:1',
  ]);
});

Deno.test("loadSettings() throws with file and line when a value has the wrong type or is out of range", () => {
  const level = 'an integer from 1 (debug) to 4 (error) for "log_level"';
  const clients = (key: string) => `an integer from 1 to 4294967295 for "${key}"`;
  const timeout = 'an integer from 1 to 3600 for "storage_timeout"';
  const cases: [string, string, string][] = [
    ["log_level = 5", level, "5"],
    ["log_level = -1", level, "-1"],
    ["log_level = 'debug'", level, 'the string "debug"'],
    ["log_level = '1'", level, 'the string "1"'],
    ["log_level = [1]", level, "a list"],
    ["log_filters = 1", 'a string for "log_filters"', "1"],
    ["log_filters = ['1:a']", 'a string for "log_filters"', "a list"],
    ["log_outputs = 1", 'a string for "log_outputs"', "1"],
    ["log_outputs = []", 'a string for "log_outputs"', "a list"],
    ["max_clients = 0", clients("max_clients"), "0"],
    ["max_clients = -5", clients("max_clients"), "-5"],
    ["max_clients = 4294967296", clients("max_clients"), "4294967296"],
    ["max_clients = '5'", clients("max_clients"), 'the string "5"'],
    ["admin_max_clients = 0", clients("admin_max_clients"), "0"],
    ["admin_max_clients = []", clients("admin_max_clients"), "a list"],
    ["storage_timeout = 0", timeout, "0"],
    ["storage_timeout = 3601", timeout, "3601"],
    ["storage_timeout = '10s'", timeout, 'the string "10s"'],
    ['storage_timeout = """a\nb"""', timeout, 'the string "a\\nb"'],
  ];
  for (const [statement, expected, got] of cases) {
    assert.throws(() => load(`# first\n${statement}`), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.message, `virtlockd.conf:2: expected ${expected}, got ${got}`);
      return true;
    });
  }
});

Deno.test("loadSettings() throws for a wrong value even when a later one replaces it", () => {
  assert.throws(() => load("max_clients = 'x'\nmax_clients = 5"), /virtlockd\.conf:1: /);
});
