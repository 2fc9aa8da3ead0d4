import assert from "node:assert/strict";
import { InFlightBytes } from "../../../../src/chassis/journal/in_flight_bytes.ts";
import type { ByteOperation } from "../../../../src/chassis/journal/client_bytes.ts";
import { bytesOf } from "./recording_memory.ts";

function totalOf(...operations: ByteOperation[]): number {
  const inFlight = new InFlightBytes();
  for (const operation of operations) inFlight.apply(operation);
  return inFlight.total;
}

const input: ByteOperation = { op: "input", key: 2, bytes: bytesOf(1, 2, 3), dropped: 9, turn: 1 };
const output: ByteOperation = { op: "output", key: 2, bytes: bytesOf(1, 2), reply: 1, turn: 0, end: 0 };

Deno.test("InFlightBytes.total is nothing for operations without bytes", () => {
  assert.equal(totalOf({ op: "gone", key: 2 }), 0);
});

Deno.test("InFlightBytes.total has what each client sent and was not served, and has not got", () => {
  const added: ByteOperation = { op: "added", key: 2, bytes: bytesOf(4, 5), dropped: 0, turn: 2 };
  assert.equal(totalOf(input, added, output), 7);
  assert.equal(totalOf(input, { ...input, key: 4 }), 6);
});

Deno.test("InFlightBytes.total follows an input or output that is written anew", () => {
  assert.equal(totalOf(input, { ...input, bytes: bytesOf(3) }), 1);
  assert.equal(totalOf(output, { ...output, bytes: bytesOf() }), 0);
});

Deno.test("InFlightBytes.total is less by a request that was served from the input, not from the turn", () => {
  const served: ByteOperation = {
    op: "served",
    key: 2,
    front: 2,
    turn: 1,
    end: 0,
    reply: 1,
    bytes: bytesOf(7),
  };
  assert.equal(totalOf(input, served), 1);
  assert.equal(totalOf(input, { ...served, front: 0 }), 3);
});

Deno.test("InFlightBytes.total forgets a client that is gone", () => {
  assert.equal(totalOf(input, output, { ...input, key: 4 }, { op: "gone", key: 2 }), 3);
});

Deno.test("InFlightBytes.restart() forgets all", () => {
  const inFlight = new InFlightBytes();
  inFlight.apply(input);
  inFlight.apply(output);
  inFlight.restart();
  assert.equal(inFlight.total, 0);
  inFlight.apply({ op: "gone", key: 2 });
  assert.equal(inFlight.total, 0);
});
