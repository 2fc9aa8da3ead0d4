import assert from "node:assert/strict";
import { isLogLevel, parseLogLevel } from "../../../../src/chassis/config/log_level.ts";

Deno.test("parseLogLevel() takes the four digits and the four names", () => {
  const texts = ["1", "2", "3", "4", "debug", "info", "warning", "error"];
  assert.deepEqual(texts.map(parseLogLevel), [1, 2, 3, 4, 1, 2, 3, 4]);
});

Deno.test("parseLogLevel() knows no other text", () => {
  for (const text of ["", "0", "5", " 1", "1x", "01", "DEBUG", "warn", "constructor"]) {
    assert.equal(parseLogLevel(text), undefined, text);
  }
});

Deno.test("isLogLevel() holds for 1 to 4 only", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, -1, 1.5, NaN].map(isLogLevel), [
    false,
    true,
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
