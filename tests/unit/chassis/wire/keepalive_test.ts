import assert from "node:assert/strict";
import { emptyHeader, readHeader } from "../../../../src/chassis/wire/frame.ts";
import { isPing, writePong } from "../../../../src/chassis/wire/keepalive.ts";
import { encodePing, isPong } from "../../../support/keepalive_codec.ts";

// deno-fmt-ignore: one byte per line would hide the fields
const PING = [
  0, 0, 0, 28, 0x6b, 0x65, 0x65, 0x70, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0,
];

Deno.test("encodePing() makes a message of the keepalive program", () => {
  assert.deepEqual([...encodePing()], PING);
});

Deno.test("writePong() writes procedure 2 at its offset and returns the length", () => {
  const target = new Uint8Array(30).fill(0xee);
  assert.equal(writePong(target, 1), 28);
  assert.deepEqual([...target], [0xee, ...PING.with(15, 2), 0xee]);
});

Deno.test("writePong() throws where it does not fit", () => {
  assert.throws(() => writePong(new Uint8Array(28), 1), RangeError);
});

Deno.test("isPing() and isPong() look at program, version, type and procedure only", () => {
  const header = emptyHeader();
  readHeader(encodePing(), 0, header);
  assert.deepEqual([isPing(header), isPong(header)], [true, false]);
  assert.deepEqual([isPing({ ...header, serial: 9, status: 1 }), isPong({ ...header, procedure: 2 })], [
    true,
    true,
  ]);
  for (const other of [{ program: 1 }, { version: 2 }, { type: 0 }, { procedure: 3 }]) {
    assert.deepEqual([isPing({ ...header, ...other }), isPong({ ...header, ...other })], [false, false]);
  }
});
