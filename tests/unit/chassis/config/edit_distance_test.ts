import assert from "node:assert/strict";
import { editDistance, nearest } from "../../../../src/chassis/config/edit_distance.ts";

Deno.test("editDistance() counts insertions, removals, replacements and exchanges", () => {
  const cases: [string, string, number][] = [
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "", 3],
    ["abc", "abc", 0],
    ["max_client", "max_clients", 1],
    ["max_cliants", "max_clients", 1],
    ["maxclients", "max_clients", 1],
    ["kitten", "sitting", 3],
    ["ab", "ba", 1],
    ["clutser", "cluster", 1],
    ["abcd", "badc", 2],
    ["abc", "cab", 2],
  ];
  for (const [from, to, distance] of cases) assert.equal(editDistance(from, to), distance, `${from} → ${to}`);
});

Deno.test("nearest() picks the most similar word, the first of equals", () => {
  assert.equal(nearest("log_lvel", ["max_clients", "log_level", "log_filters"]), "log_level");
  assert.equal(nearest("b", ["a", "c"]), "a");
});

Deno.test("nearest() throws when there is nothing to choose from", () => {
  assert.throws(() => nearest("a", []), RangeError);
});
