import assert from "node:assert/strict";
import { inFlight } from "../../../../src/chassis/journal/in_flight.ts";
import { type ByteOperation, ClientBytes } from "../../../../src/chassis/journal/client_bytes.ts";
import type { ExchangeRemains } from "../../../../src/chassis/rpc/counted_exchange.ts";
import { bytesOf } from "./recording_memory.ts";

const CLIENT = 2;
const OTHER = 4;

/** Nothing under way in turn 10, after reply 20. */
const QUIET: ExchangeRemains = {
  turn: 10,
  client: CLIENT,
  received: new Uint8Array(0),
  consumed: 0,
  done: 20,
  reply: { number: 20, client: CLIENT, sent: 0, bytes: undefined },
};

function after(remains: Partial<ExchangeRemains>, ...operations: ByteOperation[]) {
  const state = new ClientBytes();
  state.begin(9, 20);
  for (const operation of operations) state.apply(operation);
  const { inputs, outputs } = inFlight(state, { ...QUIET, ...remains });
  return {
    inputs: [...inputs].map(([key, { bytes, dropped }]) => [key, [...bytes], dropped]),
    outputs: [...outputs].map(([key, bytes]) => [key, [...bytes]]),
  };
}

function bytes(...values: number[]): Uint8Array {
  return new Uint8Array(values);
}

const served: ByteOperation = {
  op: "served",
  key: CLIENT,
  front: 0,
  turn: 10,
  end: 3,
  reply: 21,
  bytes: bytesOf(7, 8, 9),
};

Deno.test("inFlight() of a quiet daemon is nothing", () => {
  assert.deepEqual(after({}), { inputs: [], outputs: [] });
});

Deno.test("inFlight() serves what was received and not answered", () => {
  assert.deepEqual(after({ received: bytes(1, 2, 3) }).inputs, [[CLIENT, [1, 2, 3], 0]]);
});

Deno.test("inFlight() leaves out what the exchange says is consumed", () => {
  assert.deepEqual(after({ received: bytes(1, 2, 3, 4), consumed: 3 }).inputs, [[CLIENT, [4], 0]]);
});

Deno.test("inFlight() leaves out what a record says is served, and sends its whole reply when none of it left", () => {
  assert.deepEqual(after({ received: bytes(1, 2, 3, 4) }, served), {
    inputs: [[CLIENT, [4], 0]],
    outputs: [[CLIENT, [7, 8, 9]]],
  });
});

Deno.test("inFlight() sends exactly the rest of a recorded reply", () => {
  const reply = { number: 21, client: CLIENT, sent: 2, bytes: undefined };
  assert.deepEqual(after({ received: bytes(1, 2, 3), reply }, served), {
    inputs: [],
    outputs: [[CLIENT, [9]]],
  });
});

Deno.test("inFlight() sends nothing of a recorded reply that is wholly sent, known or not", () => {
  const reply = { number: 21, client: CLIENT, sent: 3, bytes: undefined };
  assert.deepEqual(after({ received: bytes(1, 2, 3), reply }, served).outputs, []);
  assert.deepEqual(after({ received: bytes(1, 2, 3), reply, done: 21 }, served).outputs, []);
});

Deno.test("inFlight() does not take the reply to somebody else for a recorded one", () => {
  const reply = { number: 20, client: OTHER, sent: 2, bytes: undefined };
  assert.deepEqual(after({ reply }, served).outputs, [[CLIENT, [7, 8, 9]]]);
});

Deno.test("inFlight() sends the rest of a reply that nothing but the exchange has", () => {
  const reply = { number: 21, client: CLIENT, sent: 1, bytes: bytes(5, 6, 7) };
  assert.deepEqual(after({ reply, received: bytes(1, 2, 3), consumed: 3 }), {
    inputs: [],
    outputs: [[CLIENT, [6, 7]]],
  });
});

Deno.test("inFlight() serves a request again whose reply was made but not begun", () => {
  const reply = { number: 21, client: CLIENT, sent: 0, bytes: bytes(5, 6, 7) };
  assert.deepEqual(after({ reply, received: bytes(1, 2, 3) }), {
    inputs: [[CLIENT, [1, 2, 3], 0]],
    outputs: [],
  });
});

Deno.test("inFlight() takes recorded output for all that is left of the reply before", () => {
  const output: ByteOperation = { op: "output", key: CLIENT, bytes: bytesOf(9), reply: 21, turn: 10, end: 3 };
  const reply = { number: 21, client: CLIENT, sent: 2, bytes: bytes(7, 8, 9) };
  assert.deepEqual(after({ reply, received: bytes(1, 2, 3) }, output), {
    inputs: [],
    outputs: [[CLIENT, [9]]],
  });
});

Deno.test("inFlight() counts what was sent of recorded output after the record", () => {
  const output: ByteOperation = {
    op: "output",
    key: CLIENT,
    bytes: bytesOf(8, 9),
    reply: 20,
    turn: 0,
    end: 0,
  };
  const reply = { number: 21, client: CLIENT, sent: 1, bytes: undefined };
  assert.deepEqual(after({ reply }, output).outputs, [[CLIENT, [9]]]);
});

Deno.test("inFlight() puts what was received behind what a record has", () => {
  const input: ByteOperation = { op: "input", key: CLIENT, bytes: bytesOf(1, 2), dropped: 0, turn: 9 };
  assert.deepEqual(after({ received: bytes(3) }, input).inputs, [[CLIENT, [1, 2, 3], 0]]);
});

Deno.test("inFlight() only counts the rest of a message whose end is not kept", () => {
  const input: ByteOperation = { op: "input", key: CLIENT, bytes: bytesOf(1, 2), dropped: 5, turn: 9 };
  assert.deepEqual(after({ received: bytes(3, 4) }, input).inputs, [[CLIENT, [1, 2], 7]]);
});

Deno.test("inFlight() does not add what a record of the same turn has", () => {
  const input: ByteOperation = { op: "input", key: CLIENT, bytes: bytesOf(3), dropped: 0, turn: 10 };
  assert.deepEqual(after({ received: bytes(1, 2, 3), consumed: 0 }, input).inputs, [[CLIENT, [3], 0]]);
});

Deno.test("inFlight() takes what was served of recorded input away", () => {
  const input: ByteOperation = { op: "input", key: CLIENT, bytes: bytesOf(1, 2, 3, 4), dropped: 6, turn: 9 };
  assert.deepEqual(after({ received: undefined, consumed: 3 }, input).inputs, [[CLIENT, [4], 0]]);
  assert.deepEqual(after({ received: undefined, consumed: 0 }, input).inputs, [[CLIENT, [1, 2, 3, 4], 6]]);
});

Deno.test("inFlight() takes a request that was answered late off the front of the input", () => {
  const input: ByteOperation = { op: "input", key: CLIENT, bytes: bytesOf(1, 2, 3, 4), dropped: 0, turn: 10 };
  const late: ByteOperation = { ...served, front: 3, turn: 10 };
  assert.deepEqual(after({ turn: 10 }, input, late), {
    inputs: [[CLIENT, [4], 0]],
    outputs: [[CLIENT, [7, 8, 9]]],
  });
});

Deno.test("inFlight() forgets a client that is gone", () => {
  const input: ByteOperation = { op: "input", key: CLIENT, bytes: bytesOf(1), dropped: 0, turn: 10 };
  assert.deepEqual(after({}, input, { op: "gone", key: CLIENT }).inputs, []);
});
