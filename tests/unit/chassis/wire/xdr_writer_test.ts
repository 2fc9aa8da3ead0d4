import assert from "node:assert/strict";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

const BAD_WRITES: [name: string, write: (writer: XdrWriter) => void, message: string][] = [
  ["u32 -1", (w) => w.u32(-1), "Cannot encode u32: -1 is not in 0..4294967295"],
  ["u32 2^32", (w) => w.u32(4294967296), "Cannot encode u32: 4294967296 is not in 0..4294967295"],
  ["u32 1.5", (w) => w.u32(1.5), "Cannot encode u32: 1.5 is not in 0..4294967295"],
  ["u32 NaN", (w) => w.u32(NaN), "Cannot encode u32: NaN is not in 0..4294967295"],
  ["i32 2^31", (w) => w.i32(2147483648), "Cannot encode i32: 2147483648 is not in -2147483648..2147483647"],
  ["u64 -1", (w) => w.u64(-1n), "Cannot encode u64: -1 is not in 0..2^64-1"],
  ["i64 2^63", (w) => w.i64(2n ** 63n), "Cannot encode i64: 9223372036854775808 is not in -2^63..2^63-1"],
  [
    "u64 2^53 as number",
    (w) => w.u64Number(2 ** 53),
    "Cannot encode u64: 9007199254740992 is not in 0..9007199254740991",
  ],
];

for (const [name, write, message] of BAD_WRITES) {
  Deno.test(`XdrWriter throws for ${name} and writes nothing`, () => {
    const writer = new XdrWriter();
    assert.throws(() => write(writer), { name: "XdrError", message });
    assert.equal(writer.length, 0);
  });
}

Deno.test("XdrWriter grows from nothing and keeps what it holds", () => {
  const writer = new XdrWriter(0);
  const expected: number[] = [];
  for (let value = 0; value < 300; value++) {
    writer.u32(value);
    expected.push(0, 0, value >> 8, value & 255);
  }
  assert.deepEqual([...writer.bytes], expected);
});

Deno.test("XdrWriter fills its limit to the last byte and not beyond", () => {
  for (const text of ["abcdefgh", "€€ab", "\udcff".repeat(8)]) {
    const writer = new XdrWriter(4, 16);
    writer.string(text);
    writer.u32(1);
    assert.equal(writer.length, 16);
    assert.throws(() => writer.bool(false), {
      name: "XdrError",
      message: "Cannot encode: 20 bytes, at most 16",
    });
  }
  assert.throws(() => new XdrWriter(4, 16).string("x".repeat(13)), {
    message: "Cannot encode: 20 bytes, at most 16",
  });
  assert.throws(() => new XdrWriter(4, 16).opaque(new Uint8Array(17)), {
    message: "Cannot encode: 20 bytes, at most 16",
  });
});

Deno.test("XdrWriter pads with zeros where other bytes were before", () => {
  const writer = new XdrWriter(16);
  writer.opaque(new Uint8Array(16).fill(0xff));
  writer.reset().string("a");
  writer.opaque(Uint8Array.of(1));
  assert.deepEqual([...writer.bytes], [0, 0, 0, 1, 0x61, 0, 0, 0, 1, 0, 0, 0]);
});

Deno.test("XdrWriter.reset() goes back to a length that was reached, and no further", () => {
  const writer = new XdrWriter();
  writer.u32(1);
  writer.u32(2);
  writer.reset(4).u32(3);
  assert.deepEqual([...writer.bytes], [0, 0, 0, 1, 0, 0, 0, 3]);
  assert.throws(() => writer.reset(9), new RangeError("Cannot reset writer: length 9 is not in 0..8"));
});

Deno.test("XdrWriter.reset() gives a large buffer back", () => {
  const writer = new XdrWriter(64);
  writer.opaque(new Uint8Array(3 << 20));
  writer.reset();
  writer.u32(1);
  assert.equal(writer.bytes.buffer.byteLength, 64);
});

Deno.test("XdrWriter.bytes is a view, XdrWriter.copy() is not", () => {
  const writer = new XdrWriter();
  writer.u32(1);
  const view = writer.bytes;
  const copy = writer.copy();
  writer.reset().u32(2);
  assert.deepEqual([...view], [0, 0, 0, 2]);
  assert.deepEqual([...copy], [0, 0, 0, 1]);
});

Deno.test("XdrWriter.reserve() leaves room that bytes gives access to", () => {
  const writer = new XdrWriter(0);
  writer.u32(1);
  const at = writer.reserve(4);
  writer.u32(3);
  writer.bytes.set([9, 9, 9, 9], at);
  assert.deepEqual([...writer.bytes], [0, 0, 0, 1, 9, 9, 9, 9, 0, 0, 0, 3]);
});
