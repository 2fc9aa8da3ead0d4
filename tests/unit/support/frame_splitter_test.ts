import assert from "node:assert/strict";
import { encodeFrame } from "../../../src/chassis/wire/frame.ts";
import { FrameSplitter } from "../../support/frame_splitter.ts";

const HEADER = { program: 1, version: 2, procedure: 3, type: 4, serial: 5, status: 6 };
const FIRST = encodeFrame(HEADER, Uint8Array.of(1, 2, 3, 4, 5));
const SECOND = encodeFrame({ ...HEADER, serial: 6 }, new Uint8Array(0));
const STREAM = Uint8Array.from([...FIRST, ...SECOND]);
const FRAMES = [
  { header: HEADER, payload: Uint8Array.of(1, 2, 3, 4, 5) },
  { header: { ...HEADER, serial: 6 }, payload: new Uint8Array(0) },
];

Deno.test("FrameSplitter.push() returns the same messages wherever the stream is cut", () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const splitter = new FrameSplitter();
    const frames = [...splitter.push(STREAM.subarray(0, cut)), ...splitter.push(STREAM.subarray(cut))];
    assert.deepEqual(frames, FRAMES, `cut at ${cut}`);
    assert.equal(splitter.pending.length, 0);
  }
});

Deno.test("FrameSplitter.push() returns messages of their own bytes", () => {
  const splitter = new FrameSplitter();
  const chunk = STREAM.slice();
  const frames = splitter.push(chunk);
  chunk.fill(0xff);
  splitter.push(chunk.subarray(0, 3));
  assert.deepEqual(frames, FRAMES);
  assert.deepEqual([...splitter.pending], [0xff, 0xff, 0xff]);
});

Deno.test("FrameSplitter.push() takes a message that is longer than its buffer", () => {
  const payload = new Uint8Array(100_000).fill(7);
  const splitter = new FrameSplitter();
  const frames = splitter.push(encodeFrame(HEADER, payload));
  assert.deepEqual(frames, [{ header: HEADER, payload }]);
});

Deno.test("FrameSplitter.push() throws for a length that is none", () => {
  assert.throws(() => new FrameSplitter().push(Uint8Array.of(0, 0, 0, 27)), {
    message: "Malformed message length: 0,0,0,27",
  });
});
