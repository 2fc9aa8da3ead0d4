import assert from "node:assert/strict";
import { resultOf } from "../../../src/os/program_result.ts";

Deno.test("resultOf() tells an exit code from a signal", () => {
  assert.deepEqual(resultOf(0, "out"), { kind: "ended", code: 0, output: "out" });
  assert.deepEqual(resultOf(78 << 8, ""), { kind: "ended", code: 78, output: "" });
  assert.deepEqual(resultOf(9, "out"), { kind: "failed", reason: "it was killed by signal 9" });
  // 0x80: it left a core.
  assert.deepEqual(resultOf(0x80 | 11, ""), { kind: "failed", reason: "it was killed by signal 11" });
});
