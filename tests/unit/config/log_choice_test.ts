import assert from "node:assert/strict";
import { ConfigError } from "../../../src/config/config_error.ts";
import { chooseLogging } from "../../../src/config/log_choice.ts";
import type { LogLevel } from "../../../src/config/log_level.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../../src/config/settings.ts";

const FILE: Settings = {
  ...DEFAULT_SETTINGS,
  logLevel: { value: 4, origin: "f:1" },
  logFilters: { value: "4:file", origin: "f:2" },
  logOutputs: { value: "4:stderr", origin: "f:3" },
};

Deno.test("chooseLogging() logs warnings and leaves the rest open when nobody says anything", () => {
  assert.deepEqual(chooseLogging(DEFAULT_SETTINGS, {}, false), {
    level: 3,
    filters: undefined,
    outputs: undefined,
  });
});

Deno.test("chooseLogging() takes the file's settings when the environment has none", () => {
  const expected = {
    level: 4,
    filters: { value: "4:file", origin: "f:2" },
    outputs: { value: "4:stderr", origin: "f:3" },
  };
  assert.deepEqual(chooseLogging(FILE, {}, false), expected);
  const empty = { LIBVIRT_DEBUG: "", LIBVIRT_LOG_FILTERS: "", LIBVIRT_LOG_OUTPUTS: " " };
  assert.deepEqual(chooseLogging(FILE, empty, false), expected);
});

Deno.test("chooseLogging() prefers each variable of the environment to the file", () => {
  const env = { LIBVIRT_DEBUG: "1", LIBVIRT_LOG_FILTERS: "1:env", LIBVIRT_LOG_OUTPUTS: "1:journald" };
  assert.deepEqual(chooseLogging(FILE, env, false), {
    level: 1,
    filters: { value: "1:env", origin: "LIBVIRT_LOG_FILTERS" },
    outputs: { value: "1:journald", origin: "LIBVIRT_LOG_OUTPUTS" },
  });
  assert.deepEqual(chooseLogging(FILE, { LIBVIRT_LOG_FILTERS: "1:env" }, false), {
    level: 4,
    filters: { value: "1:env", origin: "LIBVIRT_LOG_FILTERS" },
    outputs: { value: "4:stderr", origin: "f:3" },
  });
});

Deno.test("chooseLogging() lowers the level to info when verbose, but never raises it", () => {
  const cases: [LogLevel | undefined, string, LogLevel][] = [
    [undefined, "", 2],
    [4, "", 2],
    [2, "", 2],
    [1, "", 1],
    [undefined, "error", 2],
    [4, "debug", 1],
  ];
  for (const [fileLevel, variable, level] of cases) {
    const logLevel = fileLevel === undefined ? undefined : { value: fileLevel, origin: "f:1" };
    const choice = chooseLogging({ ...DEFAULT_SETTINGS, logLevel }, { LIBVIRT_DEBUG: variable }, true);
    assert.equal(choice.level, level, `${fileLevel} ${variable}`);
  }
});

Deno.test("chooseLogging() throws when LIBVIRT_DEBUG names no level", () => {
  for (const text of ["0", "5", "DEBUG", "1x"]) {
    assert.throws(() => chooseLogging(FILE, { LIBVIRT_DEBUG: text }, false), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(
        error.message,
        `LIBVIRT_DEBUG: expected 1 to 4, or debug, info, warning or error, got "${text}"`,
      );
      return true;
    });
  }
});
