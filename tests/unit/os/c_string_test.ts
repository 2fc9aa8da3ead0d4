import assert from "node:assert/strict";
import { addressOf, cString, CStringArray } from "../../../src/os/c_string.ts";

/** The C string at an address. */
function stringAt(address: bigint): string {
  const pointer = Deno.UnsafePointer.create(address);
  assert.ok(pointer !== null);
  return new Deno.UnsafePointerView(pointer).getCString();
}

Deno.test("cString() ends with a NUL and keeps bytes that are not UTF-8", () => {
  assert.deepEqual([...cString("aü")], [0x61, 0xc3, 0xbc, 0]);
  assert.deepEqual([...cString("\udcff")], [0xff, 0]);
  assert.deepEqual([...cString("")], [0]);
});

Deno.test("CStringArray has a pointer for each string and a NULL at its end", () => {
  const array = new CStringArray(["virtlockd", "", "-d"]);
  assert.deepEqual([...array.pointers].slice(0, 3).map(stringAt), ["virtlockd", "", "-d"]);
  assert.equal(array.pointers[3], 0n);
  assert.deepEqual([...new CStringArray([]).pointers], [0n]);
});

Deno.test("addressOf() is where the bytes are", () => {
  const bytes = cString("here");
  assert.equal(stringAt(addressOf(bytes)), "here");
  assert.equal(stringAt(addressOf(bytes.subarray(2))), "re");
});
