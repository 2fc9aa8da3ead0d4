import assert from "node:assert/strict";
import { endingOf } from "../../../src/os/program_result.ts";

Deno.test("endingOf() tells an exit code from a signal", () => {
  assert.deepEqual(endingOf(0), { kind: "exited", code: 0 });
  assert.deepEqual(endingOf(78 << 8), { kind: "exited", code: 78 });
  assert.deepEqual(endingOf(9), { kind: "killed", signal: 9 });
  // 0x80: it left a core.
  assert.deepEqual(endingOf(0x80 | 11), { kind: "killed", signal: 11 });
});
