import assert from "node:assert/strict";
import { oneLine } from "../../../src/base/one_line.ts";

Deno.test("oneLine() leaves no control character, and everything else as it is", () => {
  assert.equal(oneLine("a\nb\x1b[31m\x7f\x00 ü 'x'"), "a?b?[31m?? ü 'x'");
  assert.equal(oneLine(""), "");
});
