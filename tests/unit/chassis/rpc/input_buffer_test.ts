import assert from "node:assert/strict";
import { emptyHeader, encodeFrame, MessageType } from "../../../../src/chassis/wire/frame.ts";
import { encodePing } from "../../../support/keepalive_codec.ts";
import { InputBuffer } from "../../../../src/chassis/rpc/input_buffer.ts";

/** Bytes that count up from `from`. */
function run(from: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (from + index) & 0xff);
}

Deno.test("InputBuffer append() keeps bytes in their order while it grows", () => {
  const buffer = new InputBuffer();
  assert.ok(buffer.empty);
  for (let at = 0; at < 5000; at += 50) buffer.append(run(at, 50));
  assert.deepEqual(buffer.bytes, run(0, 5000));
  assert.equal(buffer.length, 5000);
  assert.ok(!buffer.empty);
});

Deno.test("InputBuffer owns its bytes", () => {
  const buffer = new InputBuffer();
  const chunk = run(1, 4);
  buffer.append(chunk);
  chunk.fill(0);
  assert.deepEqual(buffer.bytes, run(1, 4));
});

Deno.test("InputBuffer append() counts what it does not keep", () => {
  const buffer = new InputBuffer();
  buffer.append(run(0, 6), 10);
  buffer.append(run(6, 6), 10);
  buffer.append(run(12, 100), 10);
  assert.deepEqual(buffer.bytes, run(0, 10));
  assert.equal(buffer.dropped, 102);
  // A smaller limit takes nothing away.
  buffer.append(run(0, 1), 5);
  assert.deepEqual([buffer.length, buffer.dropped], [10, 103]);
});

Deno.test("InputBuffer consume() takes the beginning and what was dropped away", () => {
  const buffer = new InputBuffer();
  buffer.append(run(0, 20), 15);
  buffer.consume(10);
  assert.deepEqual(buffer.bytes, run(10, 5));
  assert.equal(buffer.dropped, 0);
  buffer.consume(5);
  assert.ok(buffer.empty);
});

Deno.test("InputBuffer is empty only when nothing was dropped either", () => {
  const buffer = new InputBuffer();
  buffer.append(run(0, 5), 0);
  assert.equal(buffer.length, 0);
  assert.ok(!buffer.empty);
});

Deno.test("InputBuffer can be used again after a large message", () => {
  const buffer = new InputBuffer();
  buffer.append(run(0, 100_000));
  buffer.consume(100_000);
  assert.ok(buffer.bytes.buffer.byteLength <= 512);
  buffer.append(run(3, 600));
  assert.deepEqual(buffer.bytes, run(3, 600));
});

Deno.test("InputBuffer takes at most a quarter more memory than it holds, and no more than it may keep", () => {
  const buffer = new InputBuffer();
  for (let at = 0; at < 100_000; at += 1000) {
    buffer.append(run(at, 1000), 100_000);
    assert.ok(
      buffer.bytes.buffer.byteLength <= buffer.length * 1.25,
      `${buffer.bytes.buffer.byteLength} bytes`,
    );
  }
  assert.equal(buffer.bytes.buffer.byteLength, 100_000);
});

/** A call with `payload` bytes behind its header. */
function call(payload: number): Uint8Array {
  const header = { program: 7, version: 1, procedure: 1, type: MessageType.CALL, serial: 1, status: 0 };
  return encodeFrame(header, run(0, payload));
}

Deno.test("InputBuffer findPing() and takePing() take each keepalive message out from between the others", () => {
  const buffer = new InputBuffer();
  for (const message of [call(4), encodePing(), call(8), encodePing()]) buffer.append(message);
  const header = emptyHeader();
  for (let ping = 0; ping < 2; ping++) {
    assert.equal(buffer.findPing(header), 28);
    buffer.takePing(28);
  }
  assert.equal(buffer.findPing(header), 0);
  assert.deepEqual(buffer.bytes, new Uint8Array([...call(4), ...call(8)]));
});

Deno.test("InputBuffer findPing() finds no half message, and finds it when the rest has come", () => {
  const buffer = new InputBuffer();
  buffer.append(call(4));
  buffer.append(encodePing().subarray(0, 27));
  assert.equal(buffer.findPing(emptyHeader()), 0);
  buffer.append(encodePing().subarray(27));
  assert.equal(buffer.findPing(emptyHeader()), 28);
});

Deno.test("InputBuffer findPing() does not look behind a message of which bytes were dropped", () => {
  const buffer = InputBuffer.restored(call(4).subarray(0, 30), 2);
  assert.equal(buffer.findPing(emptyHeader()), 0);
});

Deno.test("InputBuffer takePing() throws when none was found", () => {
  assert.throws(() => new InputBuffer().takePing(28), /no keepalive message/);
});

Deno.test("InputBuffer restored() puts back what was kept and what was dropped", () => {
  const buffer = InputBuffer.restored(run(0, 700), 9);
  assert.deepEqual(buffer.bytes, run(0, 700));
  assert.equal(buffer.dropped, 9);
});
