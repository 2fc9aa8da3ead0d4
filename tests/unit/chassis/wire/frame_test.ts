import assert from "node:assert/strict";
import {
  emptyHeader,
  encodeFrame,
  finishFrame,
  FRAME_MAX,
  FRAME_MIN,
  frameLength,
  type Header,
  MessageStatus,
  MessageType,
  readHeader,
  writeHeader,
} from "../../../../src/chassis/wire/frame.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

const ACQUIRE: Header = {
  program: 0x0ea7beef,
  version: 1,
  procedure: 6,
  type: MessageType.CALL,
  serial: 0x01020304,
  status: MessageStatus.OK,
};
// deno-fmt-ignore: one byte per line would hide the fields
const ACQUIRE_BYTES = [
  0, 0, 0, 32, 0x0e, 0xa7, 0xbe, 0xef, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd,
];

Deno.test("encodeFrame() writes length, header and payload", () => {
  assert.deepEqual([...encodeFrame(ACQUIRE, Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd))], ACQUIRE_BYTES);
});

Deno.test("readHeader() reads every field, signed and unsigned", () => {
  const header = emptyHeader();
  readHeader(Uint8Array.from(ACQUIRE_BYTES), 0, header);
  assert.deepEqual(header, ACQUIRE);
  readHeader(new Uint8Array(28).fill(0xff), 0, header);
  assert.deepEqual(header, {
    program: 4294967295,
    version: 4294967295,
    procedure: -1,
    type: 4294967295,
    serial: 4294967295,
    status: 4294967295,
  });
});

Deno.test("readHeader() and writeHeader() throw where the header does not fit", () => {
  const header = emptyHeader();
  for (const offset of [-1, 1, 40]) {
    const rest = 28 - offset;
    assert.throws(
      () => readHeader(new Uint8Array(28), offset, header),
      new RangeError(`Cannot read header: ${rest} bytes at ${offset}, 28 wanted`),
    );
    assert.throws(
      () => writeHeader(new Uint8Array(28), offset, header, 0),
      new RangeError(`Cannot write header: ${rest} bytes at ${offset}, 28 wanted`),
    );
  }
});

Deno.test("writeHeader() writes what readHeader() reads, at an offset and nowhere else", () => {
  const extreme: Header = {
    program: 4294967295,
    version: 0x80000000,
    procedure: -2147483648,
    type: 7,
    serial: 0xfffffffe,
    status: 2,
  };
  const target = new Uint8Array(40).fill(0xee);
  writeHeader(target, 5, extreme, 8);
  assert.equal(frameLength(target, 5, 4), 36);
  const header = emptyHeader();
  readHeader(target, 5, header);
  assert.deepEqual(header, extreme);
  assert.deepEqual([...target.subarray(0, 5), ...target.subarray(33)], Array(12).fill(0xee));
});

Deno.test("writeHeader() throws for a payload that makes the frame too long", () => {
  const target = new Uint8Array(28);
  writeHeader(target, 0, ACQUIRE, FRAME_MAX - FRAME_MIN);
  assert.deepEqual([...target.subarray(0, 4)], [2, 0, 0, 4]);
  assert.throws(
    () => writeHeader(target, 0, ACQUIRE, FRAME_MAX - FRAME_MIN + 1),
    new RangeError("Cannot write frame: payload length 33554409 is not in 0..33554408"),
  );
});

Deno.test("finishFrame() completes frames one after another in one writer", () => {
  const writer = new XdrWriter(0);
  for (let serial = 1; serial <= 3; serial++) {
    const start = writer.reserve(FRAME_MIN);
    writer.u32(serial * 16);
    finishFrame(writer, start, { ...ACQUIRE, serial });
  }
  const bytes = writer.bytes;
  const header = emptyHeader();
  for (let index = 0; index < 3; index++) {
    assert.equal(frameLength(bytes, index * 32, 4), 32);
    readHeader(bytes, index * 32, header);
    assert.deepEqual(header, { ...ACQUIRE, serial: index + 1 });
    assert.equal(bytes[index * 32 + 31], (index + 1) * 16);
  }
});

const LENGTHS: [bytes: number[], available: number, result: number][] = [
  [[], 0, 0],
  [[0], 1, 0],
  [[0, 0, 0], 3, 0],
  [[255, 255, 255], 3, 0],
  [[0, 0, 0, 28], 4, 28],
  [[0, 0, 0, 28], 3, 0],
  [[2, 0, 0, 4], 4, 33554436],
  [[0, 0, 0, 0], 4, -1],
  [[0, 0, 0, 4], 4, -1],
  [[0, 0, 0, 27], 4, -1],
  [[2, 0, 0, 5], 4, -1],
  [[0x7f, 255, 255, 255], 4, -1],
  [[0x80, 0, 0, 0], 4, -1],
  [[255, 255, 255, 255], 4, -1],
];

for (const [bytes, available, result] of LENGTHS) {
  Deno.test(`frameLength() returns ${result} for [${bytes}] with ${available} bytes available`, () => {
    assert.equal(frameLength(Uint8Array.from(bytes), 0, available), result);
  });
}

Deno.test("frameLength() finds the frames of a stream that is cut at any two places", () => {
  const header = { ...ACQUIRE };
  const stream: number[] = [];
  for (const [serial, size] of [[1, 0], [2, 5], [3, 12]] as const) {
    stream.push(...encodeFrame({ ...header, serial }, new Uint8Array(size).fill(serial)));
  }
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const serials: number[] = [];
      let pending: number[] = [];
      for (const piece of [stream.slice(0, first), stream.slice(first, second), stream.slice(second)]) {
        pending = pending.concat(piece);
        const bytes = Uint8Array.from(pending);
        let at = 0;
        for (;;) {
          const length = frameLength(bytes, at, bytes.length - at);
          if (length === 0 || length > bytes.length - at) break;
          readHeader(bytes, at, header);
          serials.push(header.serial);
          at += length;
        }
        pending = pending.slice(at);
      }
      assert.deepEqual(serials, [1, 2, 3], `cut at ${first} and ${second}`);
      assert.deepEqual(pending, []);
    }
  }
});
