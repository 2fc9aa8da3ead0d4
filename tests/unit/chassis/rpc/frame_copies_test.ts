import assert from "node:assert/strict";
import { FrameCopies } from "../../../../src/chassis/rpc/frame_copies.ts";

Deno.test("FrameCopies copy() is not changed by what happens to the original, nor by later copies", () => {
  const copies = new FrameCopies();
  const original = new Uint8Array([1, 2, 3, 4, 5]);
  const first = copies.copy(original, 1, 4);
  original.fill(9);
  const second = copies.copy(original, 0, 5);
  assert.deepEqual([...first], [2, 3, 4]);
  assert.deepEqual([...second], [9, 9, 9, 9, 9]);
});

Deno.test("FrameCopies copy() keeps every one of many, short and long", () => {
  const copies = new FrameCopies();
  const lengths = Array.from({ length: 3000 }, (_, index) => index);
  const all = lengths.map((length) =>
    copies.copy(new Uint8Array(3000).fill(length % 251), 3000 - length, 3000)
  );
  for (const length of lengths) {
    assert.equal(all[length]?.length, length);
    assert.ok(all[length]?.every((byte) => byte === length % 251), `copy ${length}`);
  }
});
