import assert from "node:assert/strict";
import { crc32 } from "../../../../src/chassis/journal/crc32.ts";

const DIGITS = new TextEncoder().encode("123456789");

Deno.test("crc32() of the check string is the published value", () => {
  assert.equal(crc32(DIGITS, 0, 9) >>> 0, 0xcbf43926);
});

Deno.test("crc32() of nothing is 0", () => {
  assert.equal(crc32(DIGITS, 4, 4), 0);
});

Deno.test("crc32() goes on from a seed as if the bytes were in one piece", () => {
  assert.equal(crc32(DIGITS, 5, 9, crc32(DIGITS, 0, 5)), crc32(DIGITS, 0, 9));
});
