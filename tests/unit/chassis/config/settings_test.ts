import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";
import { parseConfigFile } from "../../../../src/chassis/config/config_file.ts";
import { readInteger } from "../../../../src/chassis/config/setting_values.ts";
import {
  COMMON_DEFAULTS,
  COMMON_KEYS,
  type CommonSettings,
  forgiveSettings,
  loadSettings,
  type SettingReader,
  type SettingsSchema,
} from "../../../../src/chassis/config/settings.ts";

interface Settings extends CommonSettings {
  readonly patience: number;
}

/** The settings of a daemon with a key of its own. */
const SCHEMA: SettingsSchema<Settings> = {
  defaults: { ...COMMON_DEFAULTS, maxClients: 20, patience: 10 },
  keys: new Map<string, SettingReader<Settings>>([
    ...COMMON_KEYS,
    ["patience", (entry) => ({ patience: readInteger(entry, 0, 60) })],
  ]),
};

function load(text: string) {
  return loadSettings(SCHEMA, parseConfigFile(text, "virtad.conf"));
}

Deno.test("loadSettings() returns the defaults when the file sets nothing", () => {
  assert.deepEqual(load("# nothing\n"), {
    settings: {
      logLevel: undefined,
      logFilters: undefined,
      logOutputs: undefined,
      maxClients: 20,
      adminMaxClients: 5000,
      patience: 10,
    },
    warnings: [],
  });
});

Deno.test("loadSettings() reads the keys of every daemon, and the own ones", () => {
  const text = `
    log_level = 1
    log_filters = "1:locking 4:*"
    log_outputs = '3:journald'
    max_clients = 20
    admin_max_clients = 5
    patience = 60
  `;
  assert.deepEqual(load(text), {
    settings: {
      logLevel: 1,
      logFilters: "1:locking 4:*",
      logOutputs: "3:journald",
      maxClients: 20,
      adminMaxClients: 5,
      patience: 60,
    },
    warnings: [],
  });
});

Deno.test("loadSettings() accepts the ends of each range", () => {
  assert.equal(load("log_level = 4").settings.logLevel, 4);
  assert.equal(load("max_clients = 1").settings.maxClients, 1);
  assert.equal(load("max_clients = 4294967295").settings.maxClients, 4294967295);
  assert.equal(load("admin_max_clients = 1").settings.adminMaxClients, 1);
  assert.equal(load("admin_max_clients = 4294967295").settings.adminMaxClients, 4294967295);
});

Deno.test("loadSettings() takes an empty string and log level 0 for not set, as libvirt does", () => {
  const { settings, warnings } = load("log_level = 0\nlog_filters = ''\nlog_outputs = ' '");
  assert.deepEqual(settings, SCHEMA.defaults);
  assert.deepEqual(warnings, []);
});

Deno.test("loadSettings() warns about an unknown key and names the nearest known one", () => {
  const { settings, warnings } = load("max_client = 5\nLOG_LEVEL = 1\nmax_clients = 7\ntls = ['a']");
  assert.equal(settings.maxClients, 7);
  assert.equal(settings.logLevel, undefined);
  assert.deepEqual(warnings, [
    'virtad.conf:1: unknown key "max_client" ignored, the nearest known one is "max_clients"',
    'virtad.conf:2: unknown key "LOG_LEVEL" ignored, the nearest known one is "log_level"',
    'virtad.conf:4: unknown key "tls" ignored, the nearest known one is "patience"',
  ]);
});

Deno.test("loadSettings() lets the first of several values win and warns", () => {
  const { settings, warnings } = load("max_clients = 5\nlog_level = 2\nmax_clients = 6\nmax_clients = 7");
  assert.equal(settings.maxClients, 5);
  assert.deepEqual(warnings, [
    'virtad.conf:3: key "max_clients" ignored, it was set at virtad.conf:1',
    'virtad.conf:4: key "max_clients" ignored, it was set at virtad.conf:1',
  ]);
});

Deno.test("loadSettings() throws with file and line when a value has the wrong type or is out of range", () => {
  const level = 'an integer from 1 (debug) to 4 (error) for "log_level"';
  const clients = (key: string) => `an integer from 1 to 4294967295 for "${key}"`;
  const patience = 'an integer from 0 to 60 for "patience"';
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
    ["patience = -1", patience, "-1"],
    ["patience = 61", patience, "61"],
    ["patience = '10s'", patience, 'the string "10s"'],
    ['patience = """a\nb"""', patience, 'the string "a\\nb"'],
  ];
  for (const [statement, expected, got] of cases) {
    assert.throws(() => load(`# first\n${statement}`), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.message, `virtad.conf:2: expected ${expected}, got ${got}`);
      return true;
    });
  }
});

Deno.test("loadSettings() throws for a wrong value even when a later one replaces it", () => {
  assert.throws(() => load("max_clients = 'x'\nmax_clients = 5"), /virtad\.conf:1: /);
});

Deno.test("forgiveSettings() keeps what is right in front of what cannot be read, with a default for what is wrong", () => {
  const text = "patience = 70\nmax_clients = 5\nlog_level =\nadmin_max_clients = 1\n";
  const { settings, warnings, errors } = forgiveSettings(SCHEMA, text, "x.conf");
  assert.deepEqual([settings, warnings], [{ ...SCHEMA.defaults, maxClients: 5 }, []]);
  assert.deepEqual(errors.map(({ place, got }) => [place, got]), [
    ["x.conf:1", "70"],
    ["x.conf:3", "the end of the line"],
  ]);
});
