import assert from "node:assert/strict";
import { encodeFrame } from "../../../../src/chassis/wire/frame.ts";
import { ClientInput } from "../../../../src/storaged/rpc/client_input.ts";
import { PING_FRAME } from "../../../../src/storaged/rpc/frames.ts";
import { MessageListener } from "../../../support/message_listener.ts";

const call = (serial: number, length = 4) =>
  encodeFrame(
    { program: 7, version: 1, procedure: 1, type: 0, serial, status: 0 },
    new Uint8Array(length).fill(serial),
  );

function given(): { input: ClientInput; listener: MessageListener; heard: string[] } {
  const listener = new MessageListener();
  const { heard } = listener;
  return { input: new ClientInput(listener, () => void heard.push("pong")), listener, heard };
}

Deno.test("what cannot be taken is held, and taken in its order", () => {
  const { input, listener, heard } = given();
  listener.waiting = true;
  input.receive(call(1));
  input.receive(call(2));
  assert.deepEqual([input.holding, input.kept, heard.length], [true, 64, 0]);
  input.resume();
  assert.equal(input.holding, true);
  listener.waiting = false;
  input.resume();
  assert.deepEqual(heard, ["message 1: 1 1 1 1", "message 2: 2 2 2 2"]);
  assert.deepEqual([input.holding, input.kept], [false, 0]);
});

Deno.test("a ping behind a message that waits is answered before it", () => {
  const { input, listener, heard } = given();
  listener.waiting = true;
  input.receive(new Uint8Array([...call(1), ...PING_FRAME]));
  assert.deepEqual([heard, input.kept], [["pong"], 32]);
});

Deno.test("of a client that has to wait so much is received as may be held", () => {
  const { input, listener } = given();
  listener.waiting = true;
  assert.equal(input.wanting, true);
  input.receive(call(1, 200_000));
  assert.equal(input.wanting, true);
  input.receive(call(2, 70_000));
  assert.equal(input.wanting, false);
});

Deno.test("behind half a message that waits nothing is received", () => {
  const { input, listener, heard } = given();
  listener.most = 0;
  input.receive(encodeFrame(
    { program: 7, version: 1, procedure: 2, type: 0, serial: 3, status: 0 },
    new Uint8Array([1, 2, 3, 4]),
  ));
  assert.deepEqual([input.holding, input.wanting, heard], [true, false, []]);
  listener.most = 3;
  input.resume();
  assert.deepEqual([heard, input.wanting], [["data 3: 1 2 3", "data 3: 4", "end 3"], true]);
});

Deno.test("of a client that is gone nothing is held", () => {
  const { input, heard } = given();
  input.receive(new Uint8Array([0, 0, 0, 1, ...call(1)]));
  assert.deepEqual([heard, input.holding], [["malformed"], false]);
});
