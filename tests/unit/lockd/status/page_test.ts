import assert from "node:assert/strict";
import { nextById, PageBuilder, pageLimit } from "../../../../src/lockd/status/page.ts";

const self = (id: number) => id;

Deno.test("pageLimit() takes a limit of 1 to 500 as it is, and 0 or more as 500", () => {
  assert.deepEqual([0, 1, 499, 500, 501, 4294967295].map(pageLimit), [500, 1, 499, 500, 500, 500]);
});

Deno.test("nextById() gives the lowest ids above the given one, in order, whatever the order they come in", () => {
  assert.deepEqual(nextById([], self, 0, 3), []);
  assert.deepEqual(nextById([1, 2, 3, 4, 5], self, 0, 3), [1, 2, 3]);
  assert.deepEqual(nextById([5, 4, 3, 2, 1], self, 1, 3), [2, 3, 4]);
  assert.deepEqual(nextById([9, 1, 8, 2, 7, 3], self, 2, 10), [3, 7, 8, 9]);
  assert.deepEqual(nextById([2, 1], self, 2, 3), []);
});

Deno.test("nextById() finds every one of many exactly once, page by page", () => {
  // Every number from 1 to 1009 but one, in an order that jumps: 11 and 1009 have no common divisor.
  const ids = Array.from({ length: 1008 }, (_, index) => (index * 11) % 1009 + 1);
  const found: number[] = [];
  for (
    let page = nextById(ids, self, 0, 7);
    page.length > 0;
    page = nextById(ids, self, page.at(-1) ?? 0, 7)
  ) {
    found.push(...page);
  }
  assert.deepEqual(found, ids.toSorted((a, b) => a - b));
});

Deno.test("PageBuilder page() gives a JSON array, and the cursor of its last entry while there is more", () => {
  const builder = new PageBuilder();
  assert.deepEqual(builder.page(false), { json: "[]", next: "" });
  builder.add({ a: 1 }, "c1");
  builder.add("\udcff", "c2");
  assert.deepEqual(builder.page(true), { json: '[{"a":1},"\\udcff"]', next: "c2" });
  assert.deepEqual(builder.page(false), { json: '[{"a":1},"\\udcff"]', next: "" });
});

Deno.test("PageBuilder is full after 500 entries or 262144 characters", () => {
  const many = new PageBuilder();
  for (let index = 0; index < 499; index++) many.add(0, "");
  assert.equal(many.full, false);
  many.add(0, "");
  assert.equal(many.full, true);
  const long = new PageBuilder();
  long.add("x".repeat(262_142), "");
  assert.equal(long.full, false);
  long.add(0, "");
  assert.equal(long.full, true);
});
