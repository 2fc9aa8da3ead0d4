import assert from "node:assert/strict";
import { FrameKind, HEAD_SIZE, readHead, writeHead } from "../../../../src/storaged/volumes/frames.ts";

Deno.test("a head is two numbers of 64 bits, little end first", () => {
  const bytes = new Uint8Array(HEAD_SIZE + 1).fill(9);
  writeHead(bytes, FrameKind.HOLE, 2 ** 40 + 3);
  assert.deepEqual([...bytes], [1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 9]);
  assert.deepEqual(readHead(bytes), { kind: FrameKind.HOLE, length: 2 ** 40 + 3 });
});

Deno.test("a head of a kind that there is not is not taken for one of data", () => {
  const bytes = new Uint8Array(HEAD_SIZE);
  bytes[0] = 3;
  assert.throws(() => readHead(bytes), { message: "A frame of a volume begins with a head of kind 3" });
});
