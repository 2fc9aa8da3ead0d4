import assert from "node:assert/strict";
import { isLogLevel } from "../../../../src/chassis/config/log_level.ts";

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
