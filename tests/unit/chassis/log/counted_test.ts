import assert from "node:assert/strict";
import { counted, someOf } from "../../../../src/chassis/log/counted.ts";

Deno.test("counted() knows one from many", () => {
  assert.deepEqual([0, 1, 2].map((count) => counted(count, "lock")), ["0 locks", "1 lock", "2 locks"]);
  assert.deepEqual([1, 2].map((count) => counted(count, "process", "processes")), [
    "1 process",
    "2 processes",
  ]);
});

Deno.test("someOf() names the first and counts the others", () => {
  assert.equal(someOf([], 2), "");
  assert.equal(someOf(["a", "b"], 2), "'a', 'b'");
  assert.equal(someOf(["a", "b", "c"], 2), "'a', 'b' and 1 more");
});
