import assert from "node:assert/strict";
import { decodeBytes, encodeBytes } from "../../../../src/chassis/journal/byte_codec.ts";
import { type ByteOperation, ClientBytes } from "../../../../src/chassis/journal/client_bytes.ts";
import { bytesOf } from "./recording_memory.ts";

function stateOf(...operations: ByteOperation[]): ClientBytes {
  const state = new ClientBytes();
  for (const operation of operations) state.apply(operation);
  return state;
}

const INPUT: ByteOperation = { op: "input", key: 2, bytes: bytesOf(1, 2), dropped: 0, turn: 3 };
const EVERY: readonly ByteOperation[] = [
  INPUT,
  { op: "added", key: 2, bytes: bytesOf(3), dropped: 4, turn: 5 },
  { op: "output", key: 2, bytes: bytesOf(6), reply: 7, turn: 8, end: 9 },
  { op: "served", key: 2, front: 1, turn: 8, end: 9, reply: 10, bytes: bytesOf(11, 12) },
  { op: "gone", key: 2 },
];

Deno.test("decodeBytes() loses nothing of what encodeBytes() writes, whose text is as it has always been", () => {
  const texts = [
    "[14,2,2,0,3]",
    "[15,2,1,4,5]",
    "[16,2,1,7,8,9]",
    "[17,2,2,1,8,9,10]",
    "[10,2]",
  ];
  EVERY.forEach((operation, index) => {
    const pieces: Uint8Array[] = [];
    const text = encodeBytes(operation, (bytes) => {
      pieces.push(bytes);
      return bytes.length;
    });
    assert.equal(text, texts[index]);
    const [, ...fields] = JSON.parse(text) as number[];
    assert.deepEqual(decodeBytes(operation.op, fields, () => pieces.shift() ?? assert.fail()), operation);
  });
});

Deno.test("ClientBytes.apply() puts what a client sent together, until it is served", () => {
  const state = stateOf(INPUT, { op: "added", key: 2, bytes: bytesOf(3), dropped: 0, turn: 5 });
  assert.deepEqual(state.inputs.get(2), { bytes: bytesOf(1, 2, 3), dropped: 0 });
  assert.equal(state.closedTurn, 5);
  state.apply({ op: "served", key: 2, front: 2, turn: 6, end: 0, reply: 1, bytes: bytesOf(9) });
  assert.deepEqual(state.inputs.get(2), { bytes: bytesOf(3), dropped: 0 });
  assert.deepEqual(state.reply, { key: 2, number: 1, bytes: bytesOf(9) });
  state.apply({ op: "input", key: 2, bytes: bytesOf(), dropped: 0, turn: 7 });
  assert.equal(state.inputs.size, 0);
});

Deno.test("ClientBytes.apply() counts what was served of a turn, and keeps unsent bytes", () => {
  const state = stateOf({ op: "served", key: 2, front: 0, turn: 6, end: 28, reply: 1, bytes: bytesOf(9) });
  assert.deepEqual(state.consumed, { turn: 6, end: 28 });
  state.apply({ op: "output", key: 2, bytes: bytesOf(9), reply: 1, turn: 0, end: 0 });
  assert.deepEqual([state.outputs.get(2), state.done, state.consumed.end], [bytesOf(9), 1, 28]);
  state.apply({ op: "output", key: 2, bytes: bytesOf(), reply: 2, turn: 7, end: 3 });
  assert.deepEqual([state.outputs.size, state.done, state.consumed], [0, 2, { turn: 7, end: 3 }]);
});

Deno.test("ClientBytes.apply() forgets a client that has gone", () => {
  const output: ByteOperation = { op: "output", key: 2, bytes: bytesOf(9), reply: 1, turn: 0, end: 0 };
  const state = stateOf(INPUT, output, { op: "gone", key: 2 });
  assert.deepEqual([state.inputs.size, state.outputs.size], [0, 0]);
});
