import assert from "node:assert/strict";
import { Rounds } from "../../../src/base/rounds.ts";

Deno.test("Rounds gives each its turn, and begins anew behind the last one", () => {
  const rounds = new Rounds(2);
  const all = ["a", "b", "c"];
  assert.deepEqual([1, 2, 3].map(() => rounds.next(all)), [["a", "b"], ["c"], ["a", "b"]]);
});

Deno.test("Rounds begins anew where the list has become shorter than it had come, and gives none of none", () => {
  const rounds = new Rounds(2);
  assert.deepEqual(rounds.next(["a", "b", "c", "d"]), ["a", "b"]);
  assert.deepEqual(rounds.next(["a", "b"]), ["a", "b"]);
  assert.deepEqual(rounds.next([]), []);
  assert.deepEqual(rounds.next(["e"]), ["e"]);
});
