import assert from "node:assert/strict";
import { InvariantError } from "../../../src/base/invariant.ts";
import { compareTexts, takeAt, takeOut } from "../../../src/base/lists.ts";

Deno.test("takeAt() takes the element at a place out and returns it", () => {
  const list = ["a", "b", "c"];
  assert.equal(takeAt(list, 1), "b");
  assert.deepEqual(list, ["a", "c"]);
});

for (const place of [-1, 3]) {
  Deno.test(`takeAt() takes nothing and throws at place ${place} of three`, () => {
    const list = ["a", "b", "c"];
    assert.throws(() => takeAt(list, place), InvariantError);
    assert.deepEqual(list, ["a", "b", "c"]);
  });
}

Deno.test("takeOut() takes the first of equal elements out", () => {
  const list = [1, 2, 1];
  takeOut(list, 1);
  assert.deepEqual(list, [2, 1]);
});

Deno.test("takeOut() takes nothing and throws when the element is not there", () => {
  const list = [1, 2];
  assert.throws(() => takeOut(list, 3), InvariantError);
  assert.deepEqual(list, [1, 2]);
});

Deno.test("compareTexts() puts texts in the order of their code units, whatever the language", () => {
  assert.deepEqual(["b", "a", "ä", "B", "a"].sort(compareTexts), ["B", "a", "a", "b", "ä"]);
});
