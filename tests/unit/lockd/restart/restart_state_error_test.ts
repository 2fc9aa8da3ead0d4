import assert from "node:assert/strict";
import { inWords } from "../../../../src/base/in_words.ts";
import { RestartStateError } from "../../../../src/lockd/restart/restart_state_error.ts";

for (
  const [value, words] of [
    [undefined, "nothing"],
    [null, "null"],
    [1.5, "1.5"],
    [false, "false"],
    [{}, "an object"],
    [[1], "an array"],
    ['a"\n\udcff', '"a\\"\\n\\udcff"'],
    ["x".repeat(60), `"${"x".repeat(60)}"`],
    ["x".repeat(61), `"${"x".repeat(60)}"...`],
  ] as const
) {
  Deno.test(`inWords() says ${words}`, () => {
    assert.equal(inWords(value), words);
  });
}

Deno.test("RestartStateError calls the document itself restart state", () => {
  assert.equal(
    new RestartStateError("", "JSON", "nothing").message,
    "restart state: expected JSON, got nothing",
  );
});
