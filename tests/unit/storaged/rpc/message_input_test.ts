import assert from "node:assert/strict";
import { encodeFrame } from "../../../../src/chassis/wire/frame.ts";
import { MessageInput } from "../../../../src/storaged/rpc/message_input.ts";
import { MessageListener } from "../../../support/message_listener.ts";

function frame(procedure: number, serial: number, payload: number[], type = 0): Uint8Array {
  const header = { program: 7, version: 1, procedure, type, serial, status: 0 };
  return encodeFrame(header, new Uint8Array(payload));
}

const THREE = new Uint8Array([
  ...frame(1, 5, [1, 2, 3, 4]),
  ...frame(3, 6, [9, 9, 9, 9]),
  ...frame(1, 7, []),
]);

Deno.test("messages are the same however they are cut", () => {
  for (let first = 0; first <= THREE.length; first++) {
    for (const second of [first, Math.min(first + 1, THREE.length), THREE.length]) {
      const [input, user] = [new MessageInput(), new MessageListener()];
      for (const part of [THREE.subarray(0, first), THREE.subarray(first, second), THREE.subarray(second)]) {
        assert.equal(input.feed(part, user), part.length);
      }
      assert.deepEqual(user.heard, ["message 5: 1 2 3 4", "message 7: "], `cut at ${first} and ${second}`);
      assert.equal(input.betweenMessages, true);
    }
  }
});

Deno.test("of a long message no more is kept than its user wants", () => {
  const [input, user] = [new MessageInput(), new MessageListener()];
  const bytes = frame(1, 5, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  for (const byte of bytes) input.feed(new Uint8Array([byte]), user);
  assert.deepEqual(user.heard, ["message 5: 1 2 3 4 5 6 7 8"]);
});

Deno.test("a streamed payload is passed on as it comes", () => {
  const [input, user] = [new MessageInput(), new MessageListener()];
  const bytes = frame(2, 5, [1, 2, 3, 4]);
  input.feed(bytes.subarray(0, 30), user);
  input.feed(bytes.subarray(30), user);
  assert.deepEqual(user.heard, ["data 5: 1 2", "data 5: 3 4", "end 5"]);
});

Deno.test("bytes that are not taken are given again", () => {
  const [input, user] = [new MessageInput(), new MessageListener()];
  const bytes = frame(2, 5, [1, 2, 3, 4]);
  user.most = 3;
  assert.equal(input.feed(bytes.subarray(0, 31), user), 31);
  user.most = 0;
  assert.equal(input.feed(bytes.subarray(31), user), 0);
  user.most = 1;
  assert.equal(input.feed(bytes.subarray(31), user), 1);
  assert.deepEqual(user.heard, ["data 5: 1 2 3", "data 5: 4", "end 5"]);
});

Deno.test("a message that has to wait is given again from its header on", () => {
  for (const cut of [0, 5, 27]) {
    const [input, user] = [new MessageInput(), new MessageListener()];
    const bytes = frame(1, 5, [1, 2, 3, 4]);
    assert.equal(input.feed(bytes.subarray(0, cut), user), cut);
    user.waiting = true;
    assert.equal(input.feed(bytes.subarray(cut), user), 0);
    assert.deepEqual(user.heard, []);
    user.waiting = false;
    assert.equal(input.feed(bytes.subarray(cut), user), bytes.length - cut);
    assert.deepEqual(user.heard, ["message 5: 1 2 3 4"]);
  }
});

Deno.test("a call with descriptors has a count before its arguments and bytes behind them", () => {
  const [input, user] = [new MessageInput(), new MessageListener()];
  const call = [...frame(1, 5, [0, 0, 0, 2, 1, 2, 3, 4], 4), 0, 0, ...frame(1, 6, [7, 7, 7, 7])];
  input.feed(new Uint8Array(call), user);
  assert.deepEqual(user.heard.map((each) => each.slice(0, 18)), ["message 5: 1 2 3 4", "message 6: 7 7 7 7"]);
});

Deno.test("a length that no message has ends everything", () => {
  for (const length of [[0, 0, 0, 27], [2, 0, 0, 5], [255, 255, 255, 255]]) {
    const [input, user] = [new MessageInput(), new MessageListener()];
    input.feed(new Uint8Array([...length, ...new Array(40).fill(0)]), user);
    assert.deepEqual(user.heard, ["malformed"]);
  }
});
