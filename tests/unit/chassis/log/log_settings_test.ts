import assert from "node:assert/strict";
import { LogConfigError } from "../../../../src/chassis/log/log_config_error.ts";
import { type LoggingSources, resolveLogging } from "../../../../src/chassis/log/log_settings.ts";

/** A foreground daemon on a terminal with nothing configured. */
const PLAIN: LoggingSources = {
  verbose: false,
  env: {},
  settings: {},
  daemonMode: false,
  stdinIsTerminal: true,
  journaldPresent: false,
  logFile: "/var/log/libvirt/virtlockd.log",
};

Deno.test("resolveLogging() without settings logs warnings to stderr", () => {
  assert.deepEqual(resolveLogging(PLAIN), {
    level: 3,
    filters: "",
    outputs: "3:stderr",
    outputsSource: { kind: "default" },
    defaultOutputs: "3:stderr",
  });
});

Deno.test("resolveLogging() chooses the default output by how the daemon was started", () => {
  const table: ReadonlyArray<readonly [boolean, boolean, boolean, string]> = [
    // daemonMode, stdinIsTerminal, journaldPresent
    [true, true, true, "3:journald"],
    [true, false, true, "3:journald"],
    [true, true, false, "3:file:/var/log/libvirt/virtlockd.log"],
    [true, false, false, "3:file:/var/log/libvirt/virtlockd.log"],
    [false, true, true, "3:stderr"],
    [false, false, true, "3:journald"],
    [false, true, false, "3:stderr"],
    [false, false, false, "3:stderr"],
  ];
  for (const [daemonMode, stdinIsTerminal, journaldPresent, outputs] of table) {
    const sources = { ...PLAIN, daemonMode, stdinIsTerminal, journaldPresent };
    assert.equal(resolveLogging(sources).outputs, outputs, JSON.stringify(sources));
  }
});

Deno.test("resolveLogging() keeps debug messages out of the journal unless it is named", () => {
  const journald = { ...PLAIN, daemonMode: true, journaldPresent: true, settings: { logLevel: 1 } };
  assert.deepEqual(resolveLogging(journald), {
    level: 1,
    filters: "",
    outputs: "2:journald",
    outputsSource: { kind: "default" },
    defaultOutputs: "2:journald",
  });
  assert.equal(
    resolveLogging({ ...journald, env: { LIBVIRT_LOG_OUTPUTS: "1:journald" } }).outputs,
    "1:journald",
  );
  assert.equal(resolveLogging({ ...journald, journaldPresent: false }).outputs, `1:file:${PLAIN.logFile}`);
});

Deno.test("resolveLogging() puts --verbose before the environment and that before the file", () => {
  const level = (verbose: boolean, env: string | undefined, file: number | undefined) =>
    resolveLogging({ ...PLAIN, verbose, env: { LIBVIRT_DEBUG: env }, settings: { logLevel: file } }).level;
  assert.equal(level(false, undefined, 4), 4);
  assert.equal(level(false, "1", 4), 1);
  assert.equal(level(false, "error", 1), 4);
  assert.equal(level(false, "", 4), 4);
  assert.equal(level(true, undefined, undefined), 2);
  assert.equal(level(true, "4", 4), 2);
  assert.equal(level(true, "debug", 4), 1);
  assert.equal(level(true, undefined, 1), 1);
});

Deno.test("resolveLogging() takes filters and outputs from the environment, else from the file", () => {
  const settings = { logFilters: "1:file", logOutputs: "2:syslog:file" };
  const env = { LIBVIRT_LOG_FILTERS: "1:env", LIBVIRT_LOG_OUTPUTS: "2:syslog:env" };
  const both = resolveLogging({ ...PLAIN, settings, env });
  assert.deepEqual([both.filters, both.outputs, both.defaultOutputs], ["1:env", "2:syslog:env", "3:stderr"]);
  const empty = { LIBVIRT_LOG_FILTERS: "", LIBVIRT_LOG_OUTPUTS: "" };
  const file = resolveLogging({ ...PLAIN, settings, env: empty });
  assert.deepEqual([file.filters, file.outputs], ["1:file", "2:syslog:file"]);
});

Deno.test("resolveLogging() uses the default output when the list holds only spaces", () => {
  assert.equal(resolveLogging({ ...PLAIN, settings: { logOutputs: "  " } }).outputs, "3:stderr");
});

Deno.test("resolveLogging() says what has named the outputs", () => {
  const source = (env: Record<string, string>, settings: LoggingSources["settings"]) =>
    resolveLogging({ ...PLAIN, env, settings }).outputsSource;
  const key = { kind: "key", name: "log_outputs" };
  assert.deepEqual(source({}, { logOutputs: "1:stderr" }), key);
  assert.deepEqual(source({ LIBVIRT_LOG_OUTPUTS: "" }, { logOutputs: "1:stderr" }), key);
  assert.deepEqual(source({ LIBVIRT_LOG_OUTPUTS: "1:stderr" }, { logOutputs: "1:stderr" }), {
    kind: "variable",
    name: "LIBVIRT_LOG_OUTPUTS",
  });
});

const LEVELS = "with a level from 1 (debug) to 4 (error)";
const OUTPUTS = `expected LEVEL:stderr, LEVEL:journald, LEVEL:syslog:NAME or LEVEL:file:PATH ${LEVELS}`;

Deno.test("resolveLogging() names the variable or the key that is wrong", () => {
  const table: ReadonlyArray<readonly [Partial<LoggingSources>, string]> = [
    [
      { env: { LIBVIRT_DEBUG: "x" } },
      "Invalid LIBVIRT_DEBUG: got 'x', want 1 to 4 or debug, info, warning, error",
    ],
    [{ settings: { logLevel: 9 } }, "Invalid log_level: got 9, want 1 to 4"],
    [
      { env: { LIBVIRT_LOG_FILTERS: "9:x" } },
      `Invalid LIBVIRT_LOG_FILTERS: Invalid priority '9' for filter '9:x'; expected LEVEL:NAME ${LEVELS}`,
    ],
    [
      { settings: { logFilters: "xx" } },
      `Invalid log_filters: Malformed format for filter 'xx'; expected LEVEL:NAME ${LEVELS}`,
    ],
    [
      { env: { LIBVIRT_LOG_OUTPUTS: "1:bogus" } },
      `Invalid LIBVIRT_LOG_OUTPUTS: Invalid log destination 'bogus' for log output '1:bogus'; ${OUTPUTS}`,
    ],
    [
      { settings: { logOutputs: "7:stderr" } },
      `Invalid log_outputs: Invalid log priority '7' for log output '7:stderr'; ${OUTPUTS}`,
    ],
  ];
  for (const [parts, message] of table) {
    assert.throws(() => resolveLogging({ ...PLAIN, ...parts }), (error) => {
      assert.ok(error instanceof LogConfigError);
      assert.equal(error.message, message);
      return true;
    });
  }
});
