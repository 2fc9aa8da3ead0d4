import assert from "node:assert/strict";
import { JsonObject } from "../../../../src/lockd/restart/json_object.ts";

Deno.test("JsonObject.path names every step from the document on", () => {
  const paths: string[] = [];
  const document = JsonObject.document({ a: { b: [{ c: {} }, { c: {} }] } });
  document.object("a").objects("b", (element) => paths.push(element.path, element.object("c").path));
  assert.deepEqual(paths, ["a.b[0]", "a.b[0].c", "a.b[1]", "a.b[1].c"]);
  assert.equal(document.path, "");
});

Deno.test("JsonObject.has() tells null from nothing", () => {
  const object = JsonObject.document({ a: null });
  assert.deepEqual([object.has("a"), object.has("b")], [true, false]);
});

Deno.test("JsonObject.integer() takes its limits, and nothing beyond", () => {
  const read = (value: unknown) => JsonObject.document({ a: value }).integer("a", "2 to 4", 4, 2);
  assert.deepEqual([2, 3, 4].map(read), [2, 3, 4]);
  for (const [value, found] of [[1, "1"], [5, "5"], [2.5, "2.5"], ["3", '"3"'], [[3], "an array"]] as const) {
    assert.throws(() => read(value), { message: `a: expected 2 to 4, got ${found}` });
  }
});

Deno.test("JsonObject.descriptor() refuses a descriptor twice in one document, not in two", () => {
  const document = () => JsonObject.document({ a: { fd: 5 }, b: [{ fds: [6, 5] }] });
  const first = document();
  assert.equal(first.object("a").descriptor("fd"), 5);
  assert.throws(() => first.objects("b", (element) => element.descriptors("fds")), {
    message: "b[0].fds[1]: expected a descriptor of its own, got 5, which is named before",
    path: "b[0].fds[1]",
  });
  assert.equal(document().object("a").descriptor("fd"), 5);
});
