import assert from "node:assert/strict";
import {
  levelName,
  levelOfName,
  levelOfNumber,
  parseLevelSetting,
  parsePriority,
  syslogSeverity,
} from "../../../../src/chassis/log/levels.ts";

Deno.test("parsePriority() reads what strtoul(3) reads as 1 to 4 and nothing else", () => {
  const table: ReadonlyArray<readonly [string, number | undefined]> = [
    ["1", 1],
    ["4", 4],
    ["01", 1],
    ["+03", 3],
    ["\t3", 3],
    ["0", undefined],
    ["5", undefined],
    ["-1", undefined],
    ["", undefined],
    ["3abc", undefined],
    ["3 ", undefined],
    ["debug", undefined],
    ["4294967297", undefined],
    ["1\n2", undefined],
  ];
  for (const [text, level] of table) assert.equal(parsePriority(text), level, JSON.stringify(text));
});

Deno.test("parseLevelSetting() takes one digit or a name in lower case", () => {
  const table: ReadonlyArray<readonly [string, number | undefined]> = [
    ["1", 1],
    ["4", 4],
    ["debug", 1],
    ["info", 2],
    ["warning", 3],
    ["error", 4],
    ["warn", undefined],
    ["DEBUG", undefined],
    [" 2", undefined],
    ["02", undefined],
    ["0", undefined],
    ["toString", undefined],
  ];
  for (const [text, level] of table) assert.equal(parseLevelSetting(text), level, JSON.stringify(text));
});

Deno.test("levelName(), levelOfName() and levelOfNumber() agree on the four levels", () => {
  assert.deepEqual(([1, 2, 3, 4] as const).map(levelName), ["debug", "info", "warning", "error"]);
  assert.deepEqual(["debug", "info", "warning", "error"].map(levelOfName), [1, 2, 3, 4]);
  assert.deepEqual([0, 1, 4, 5, 2.5, NaN].map(levelOfNumber), [
    undefined,
    1,
    4,
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("syslogSeverity() gives syslog's numbers", () => {
  assert.deepEqual(([1, 2, 3, 4] as const).map(syslogSeverity), [7, 6, 4, 3]);
});
