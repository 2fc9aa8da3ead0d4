import assert from "node:assert/strict";
import { COMMON_DEFAULTS, type CommonSettings } from "../../../../src/chassis/config/settings.ts";
import { LogConfigError } from "../../../../src/chassis/log/log_config_error.ts";
import { reload } from "../../../../src/chassis/start/reload.ts";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import { type Applied, WaitingSettings } from "../../../../src/chassis/start/waiting_settings.ts";
import { EACCES } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";

const SETTINGS: CommonSettings = { ...COMMON_DEFAULTS, maxClients: 7 };
const LOGGING = {
  level: 1,
  filters: "",
  outputs: "1:stderr",
  outputsSource: { kind: "default" },
  defaultOutputs: "1:stderr",
} as const;

/** Reloads, and tells what was done in which order. */
function play(failure?: Error, configureFails?: Error): string[] {
  const done: string[] = [];
  const log = {
    info: (text: string) => void done.push(`info: ${text}`),
    warn: (text: string) => void done.push(`warn: ${text}`),
    error: (text: string) => void done.push(`error: ${text}`),
  };
  const logs = {
    configure: ({ level }: { level: number }) => {
      if (configureFails !== undefined) throw configureFails;
      done.push(`level ${level}`);
    },
    reopen: () => void done.push("reopened"),
  };
  const applied: Applied<CommonSettings> = {
    logLevel: "logging",
    logFilters: "logging",
    logOutputs: "logging",
    maxClients: ({ maxClients }) => void done.push(`max ${maxClients}`),
    adminMaxClients: { waits: "admin_max_clients" },
  };
  const read = () => {
    if (failure !== undefined) throw failure;
    return { loaded: { settings: SETTINGS, warnings: ["odd"] }, logging: LOGGING };
  };
  const waiting = new WaitingSettings({ ...SETTINGS, adminMaxClients: 1 }, "A restart takes it over");
  reload(logs, log, read, applied, waiting);
  return done;
}

Deno.test("reload() sets logging up first, then applies each setting, and says what waits", () => {
  assert.deepEqual(play(), [
    "level 1",
    "reopened",
    "warn: odd",
    "max 7",
    "warn: Changed in the configuration, and not taken over by SIGHUP: admin_max_clients. A restart takes it over",
    "info: Configuration read again",
  ]);
});

Deno.test("reload() leaves every setting when the file is wrong, and opens a rotated log all the same", () => {
  assert.deepEqual(play(new StartError(1, "x.conf:1: expected a key, got 5")), [
    "reopened",
    "error: Configuration not taken over, the old settings stay: x.conf:1: expected a key, got 5",
  ]);
});

Deno.test("reload() leaves every setting when the log cannot be opened", () => {
  const errors = [new SystemError("open", "/log", EACCES), new LogConfigError("Invalid log_outputs: x")];
  for (const error of errors) {
    assert.deepEqual(play(undefined, error), [
      "reopened",
      `error: Configuration not taken over, the old settings stay: ${error.message}`,
    ]);
  }
});

Deno.test("reload() does not hide an error of the program", () => {
  assert.throws(() => play(new TypeError("a fault")), { name: "TypeError", message: "a fault" });
});
