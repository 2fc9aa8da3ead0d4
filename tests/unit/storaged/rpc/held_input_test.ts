import assert from "node:assert/strict";
import { encodeFrame } from "../../../../src/chassis/wire/frame.ts";
import { HeldInput } from "../../../../src/storaged/rpc/held_input.ts";
import { PING_FRAME, PONG_FRAME } from "../../../../src/storaged/rpc/frames.ts";

const CALL = encodeFrame(
  { program: 7, version: 1, procedure: 1, type: 0, serial: 5, status: 0 },
  new Uint8Array([1, 2, 3, 4]),
);

Deno.test("bytes are held in order and go from the start", () => {
  const held = new HeldInput();
  held.add(new Uint8Array([1, 2]));
  held.add(new Uint8Array([3]));
  held.consume(1);
  assert.deepEqual([...held.bytes], [2, 3]);
  held.consume(2);
  assert.equal(held.length, 0);
});

Deno.test("pings are taken out from between calls, and nothing else is", () => {
  const held = new HeldInput();
  held.add(new Uint8Array([...CALL, ...PING_FRAME, ...PONG_FRAME, ...PING_FRAME, ...CALL.subarray(0, 20)]));
  assert.equal(held.takePing(), true);
  assert.equal(held.takePing(), true);
  assert.equal(held.takePing(), false);
  assert.deepEqual([...held.bytes], [...CALL, ...PONG_FRAME, ...CALL.subarray(0, 20)]);
  held.consume(CALL.length);
  held.add(new Uint8Array([...CALL.subarray(20), ...PING_FRAME]));
  assert.equal(held.takePing(), true);
  assert.deepEqual([...held.bytes], [...PONG_FRAME, ...CALL]);
});
