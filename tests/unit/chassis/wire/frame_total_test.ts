import assert from "node:assert/strict";
import { frameTotal } from "../../../../src/chassis/wire/frame_total.ts";

function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(" ", ""));
}

const CALL = bytes("00000020 0ea7beef 00000001 00000008 00000000 00000007 00000000 00000000");
const HEADER_ONLY = bytes("0000001c 0ea7beef 00000001 00000008 00000000 00000007 00000000");
/** CALL_WITH_FDS with two descriptors. */
const WITH_FDS = bytes(
  "00000024 0ea7beef 00000001 00000008 00000004 00000007 00000000 00000002 00000000 0000",
);

/** What is told for every number of bytes that may be there. */
function totals(message: Uint8Array): number[] {
  return Array.from({ length: message.length + 1 }, (_, available) => frameTotal(message, 0, available));
}

Deno.test("frameTotal() tells the length as soon as the type is there", () => {
  assert.deepEqual(totals(CALL), [...Array(28).fill(0), ...Array(5).fill(32)]);
  assert.deepEqual(totals(HEADER_ONLY), [...Array(28).fill(0), 28]);
});

Deno.test("frameTotal() counts the bytes of descriptors, once their number is there", () => {
  assert.deepEqual(totals(WITH_FDS), [...Array(32).fill(0), ...Array(7).fill(38)]);
});

Deno.test("frameTotal() looks at the place it is told", () => {
  const stream = new Uint8Array([...CALL, ...WITH_FDS]);
  assert.equal(frameTotal(stream, 0, stream.length), 32);
  assert.equal(frameTotal(stream, 32, stream.length - 32), 38);
});

Deno.test("frameTotal() gives up on a length that no message has, at once", () => {
  for (const length of ["00000000", "0000001b", "02000005", "ffffffff"]) {
    assert.equal(frameTotal(bytes(length), 0, 4), -1, length);
  }
  assert.equal(frameTotal(bytes("02000004"), 0, 4), 0);
});

Deno.test("frameTotal() gives up on a call with too many descriptors, or without their number", () => {
  const many = WITH_FDS.slice();
  many[31] = 32;
  assert.equal(frameTotal(many, 0, many.length), 36 + 32);
  many[31] = 33;
  assert.equal(frameTotal(many, 0, many.length), -1);
  many.set([255, 255, 255, 255], 28);
  assert.equal(frameTotal(many, 0, many.length), -1);
  const short = HEADER_ONLY.slice();
  short[19] = 4;
  assert.equal(frameTotal(short, 0, 28), -1);
});
