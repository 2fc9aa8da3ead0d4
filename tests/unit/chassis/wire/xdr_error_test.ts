import assert from "node:assert/strict";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";

Deno.test("XdrError is an Error that says what it is where a stack is printed", () => {
  const error = new XdrError("Cannot decode u32: 4 bytes wanted, 0 left");
  assert.ok(error instanceof Error);
  assert.equal(error.stack, "XdrError: Cannot decode u32: 4 bytes wanted, 0 left");
  assert.equal(`${error}`, "XdrError: Cannot decode u32: 4 bytes wanted, 0 left");
});
