import assert from "node:assert/strict";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { getLog, levelsChanged } from "../../../../src/chassis/log/log.ts";

/** Runs `use` with LogTape collecting records from `lowestLevel` up. */
function collect(lowestLevel: "debug" | "warning", use: () => void): LogRecord[] {
  const records: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { all: (record) => void records.push(record) },
    loggers: [
      { category: [], sinks: ["all"], lowestLevel },
      { category: ["logtape", "meta"], parentSinks: "override", lowestLevel: "error" },
    ],
  });
  levelsChanged();
  try {
    use();
  } finally {
    resetSync();
    levelsChanged();
  }
  return records;
}

Deno.test("getLog() logs at the four levels with category, file and fields", () => {
  const log = getLog("test.log", "src/x.ts");
  const records = collect("debug", () => {
    log.debug("a");
    log.info("b", { domain: "guest", ownerPid: 7 });
    log.warn(() => "c");
    log.error("d");
  });
  assert.deepEqual(records.map(({ level, message }) => [level, message[0]]), [
    ["debug", "a"],
    ["info", "b"],
    ["warning", "c"],
    ["error", "d"],
  ]);
  assert.deepEqual(records[1]?.category, ["test", "log"]);
  assert.deepEqual({ ...records[1]?.properties }, { domain: "guest", ownerPid: 7, codeFile: "src/x.ts" });
});

Deno.test("getLog() does not make the message of a disabled level", () => {
  const log = getLog("test.log", "src/x.ts");
  let made = 0;
  const message = () => {
    made += 1;
    return "x";
  };
  const records = collect("warning", () => {
    log.debug(message);
    log.info(message);
    assert.deepEqual([log.enabled("info"), log.enabled("warning")], [false, true]);
    log.warn(message);
  });
  assert.equal(records.length, 1);
  assert.equal(made, 1);
});

Deno.test("getLog() takes braces in a message as they are", () => {
  const log = getLog("test.log", "src/x.ts");
  const records = collect("debug", () => log.warn("disk {domain} {{x}} {*}", { domain: "guest" }));
  assert.deepEqual(records[0]?.message, ["disk {domain} {{x}} {*}"]);
});

Deno.test("getLog() is silent while nothing is configured", () => {
  resetSync();
  const log = getLog("test.log", "src/x.ts");
  assert.equal(log.enabled("error"), false);
});

Deno.test("getLog() follows a change of levels, also one that it was asked before", () => {
  const log = getLog("test.log", "src/x.ts");
  const enabled = () =>
    (["debug", "info", "warning", "error"] as const).filter((level) => log.enabled(level));
  assert.deepEqual(enabled(), []);
  collect("debug", () => assert.deepEqual(enabled(), ["debug", "info", "warning", "error"]));
  assert.deepEqual(enabled(), []);
  collect("warning", () => assert.deepEqual(enabled(), ["warning", "error"]));
});
