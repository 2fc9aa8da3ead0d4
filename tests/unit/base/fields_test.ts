import assert from "node:assert/strict";
import { fieldsOf } from "../../../src/base/fields.ts";

Deno.test("fieldsOf() has the fields of an object, and none of anything else", () => {
  assert.deepEqual(fieldsOf({ a: 1, b: null }), { a: 1, b: null });
  for (const value of [null, undefined, 3, true]) assert.deepEqual(fieldsOf(value), {});
});
