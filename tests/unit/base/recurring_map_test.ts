import assert from "node:assert/strict";
import { RecurringMap } from "../../../src/base/recurring_map.ts";

Deno.test("RecurringMap has what was set and not deleted", () => {
  const map = new RecurringMap<string, number>();
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  assert.equal(map.delete("b"), true);
  assert.equal(map.delete("b"), false);
  assert.equal(map.delete("never"), false);
  assert.deepEqual([map.size, map.get("a"), map.get("b"), map.has("a"), map.has("b")], [
    1,
    3,
    undefined,
    true,
    false,
  ]);
  assert.deepEqual([[...map.keys()], [...map.values()]], [["a"], [3]]);
  map.set("b", 4);
  assert.deepEqual([map.size, map.get("b")], [2, 4]);
  map.clear();
  assert.deepEqual([map.size, map.has("a"), [...map.values()]], [0, false, []]);
});

Deno.test("RecurringMap keeps the others while thousands of keys go for good", () => {
  const map = new RecurringMap<number, string>();
  for (let key = 0; key < 10_000; key++) map.set(key, `value ${key}`);
  for (let key = 0; key < 10_000; key++) if (key % 100 !== 7) map.delete(key);
  assert.equal(map.size, 100);
  assert.deepEqual([...map.keys()], Array.from({ length: 100 }, (_, index) => 100 * index + 7));
  assert.equal(map.get(9_907), "value 9907");
  assert.equal(map.has(9_908), false);
});

Deno.test("RecurringMap values() leaves out what is deleted meanwhile", () => {
  const map = new RecurringMap<number, number>();
  for (let key = 0; key < 1000; key++) map.set(key, key);
  const seen: number[] = [];
  for (const value of map.values()) {
    seen.push(value);
    for (let key = 10; key < 1000; key++) map.delete(key);
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
