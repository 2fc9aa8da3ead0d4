import assert from "node:assert/strict";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

function reader(...bytes: number[]): XdrReader {
  return new XdrReader(Uint8Array.from(bytes));
}

function written(write: (writer: XdrWriter) => void): number[] {
  const writer = new XdrWriter();
  write(writer);
  return [...writer.bytes];
}

const XDR_VALUES: [
  name: string,
  bytes: number[],
  value: unknown,
  read: (reader: XdrReader) => unknown,
  write: (writer: XdrWriter) => void,
][] = [
  ["u32 0", [0, 0, 0, 0], 0, (r) => r.u32(), (w) => w.u32(0)],
  ["u32", [0x12, 0x34, 0x56, 0x78], 0x12345678, (r) => r.u32(), (w) => w.u32(0x12345678)],
  ["the highest u32", [255, 255, 255, 255], 4294967295, (r) => r.u32(), (w) => w.u32(4294967295)],
  ["i32 -1", [255, 255, 255, 255], -1, (r) => r.i32(), (w) => w.i32(-1)],
  ["the lowest i32", [0x80, 0, 0, 0], -2147483648, (r) => r.i32(), (w) => w.i32(-2147483648)],
  ["the highest i32", [0x7f, 255, 255, 255], 2147483647, (r) => r.i32(), (w) => w.i32(2147483647)],
  ["u64", [1, 2, 3, 4, 5, 6, 7, 8], 0x0102030405060708n, (r) => r.u64(), (w) => w.u64(0x0102030405060708n)],
  ["the highest u64", Array(8).fill(255), 2n ** 64n - 1n, (r) => r.u64(), (w) => w.u64(2n ** 64n - 1n)],
  ["i64 -2", [...Array(7).fill(255), 254], -2n, (r) => r.i64(), (w) => w.i64(-2n)],
  ["the lowest i64", [0x80, ...Array(7).fill(0)], -(2n ** 63n), (r) => r.i64(), (w) => w.i64(-(2n ** 63n))],
  [
    "a u64 as number",
    [0, 0, 0, 1, 0, 0, 0, 2],
    4294967298,
    (r) => r.u64Number(),
    (w) => w.u64Number(4294967298),
  ],
  [
    "the highest u64 as number",
    [0, 0x1f, ...Array(6).fill(255)],
    9007199254740991,
    (r) => r.u64Number(),
    (w) => w.u64Number(9007199254740991),
  ],
  ["a double", [0x3f, 0xf8, 0, 0, 0, 0, 0, 0], 1.5, (r) => r.f64(), (w) => w.f64(1.5)],
  ["false", [0, 0, 0, 0], false, (r) => r.bool(), (w) => w.bool(false)],
  ["true", [0, 0, 0, 1], true, (r) => r.bool(), (w) => w.bool(true)],
  ["an empty string", [0, 0, 0, 0], "", (r) => r.string(9), (w) => w.string("")],
  ["a string of 1", [0, 0, 0, 1, 0x61, 0, 0, 0], "a", (r) => r.string(9), (w) => w.string("a")],
  [
    "a string of 4",
    [0, 0, 0, 4, 0x61, 0x62, 0x63, 0x64],
    "abcd",
    (r) => r.string(4),
    (w) => w.string("abcd"),
  ],
  [
    "a string with invalid UTF-8 and NUL",
    [0, 0, 0, 3, 0xff, 0, 0x62, 0],
    "\udcff\0b",
    (r) => r.string(3),
    (w) => w.string("\udcff\0b"),
  ],
  ["no string", [0, 0, 0, 0], undefined, (r) => r.optionalString(9), (w) => w.optionalString(undefined)],
  [
    "an optional string",
    [0, 0, 0, 1, 0, 0, 0, 2, 0x68, 0x69, 0, 0],
    "hi",
    (r) => r.optionalString(9),
    (w) => w.optionalString("hi"),
  ],
  [
    "opaque of 3",
    [7, 8, 9, 0],
    Uint8Array.of(7, 8, 9),
    (r) => r.opaque(3),
    (w) => w.opaque(Uint8Array.of(7, 8, 9)),
  ],
];

for (const [name, bytes, value, read, write] of XDR_VALUES) {
  Deno.test(`XdrReader and XdrWriter agree on the bytes of ${name}`, () => {
    const source = reader(...bytes);
    assert.deepEqual(read(source), value);
    assert.equal(source.remaining, 0);
    assert.deepEqual(written(write), bytes);
  });

  Deno.test(`XdrReader throws when ${name} is cut at any byte`, () => {
    const whole = Uint8Array.from([...bytes, 1, 2, 3, 4, 5, 6, 7, 8]);
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(() => read(new XdrReader(whole, 0, end)), XdrError, `cut at ${end}`);
    }
  });
}

const BAD_READS: [
  name: string,
  bytes: number[],
  read: (reader: XdrReader) => unknown,
  message: string,
][] = [
  [
    "a string over its limit",
    [0, 0, 0, 5, 0x61, 0x61, 0x61, 0x61, 0x61, 0, 0, 0],
    (r) => r.string(4),
    "Cannot decode string: length 5 is not in 0..4",
  ],
  [
    "a string of 4 GiB",
    [255, 255, 255, 255, 0, 0, 0, 0],
    (r) => r.string(65536),
    "Cannot decode string: length 4294967295 is not in 0..65536",
  ],
  [
    "a string of 4 GiB without a limit to speak of",
    [255, 255, 255, 255, 0, 0, 0, 0],
    (r) => r.string(4294967295),
    "Cannot decode string: 4294967296 bytes wanted, 4 left",
  ],
  [
    "a string that ends past the window",
    [0, 0, 0, 5, 0x61, 0x61, 0x61, 0x61],
    (r) => r.string(9),
    "Cannot decode string: 8 bytes wanted, 4 left",
  ],
  [
    "a string whose padding ends past the window",
    [0, 0, 0, 1, 0x61, 0, 0],
    (r) => r.string(9),
    "Cannot decode string: 4 bytes wanted, 3 left",
  ],
  [
    "an array over its limit",
    [0, 0, 0, 33],
    (r) => r.count(32),
    "Cannot decode array: length 33 is not in 0..32",
  ],
  [
    "a u64 above 2^53 - 1 as number",
    [0, 0x20, 0, 0, 0, 0, 0, 0],
    (r) => r.u64Number(),
    "Cannot decode u64: 9007199254740992 is not in 0..9007199254740991",
  ],
];

for (const [name, bytes, read, message] of BAD_READS) {
  Deno.test(`XdrReader throws for ${name}`, () => {
    assert.throws(() => read(reader(...bytes)), { name: "XdrError", message });
  });
}

Deno.test("XdrReader accepts padding that is not zero, any true, and bytes left over", () => {
  const source = reader(0, 0, 0, 1, 0x61, 9, 9, 9, 0x80, 0, 0, 0, 0, 0, 0, 2, 0x68, 0x69, 1, 1, 77);
  assert.equal(source.string(9), "a");
  assert.equal(source.optionalString(9), "hi");
  assert.equal(source.remaining, 1);
});

Deno.test("XdrReader.reset() makes a reader usable again after an error, on another window", () => {
  const source = reader(0, 0);
  assert.throws(() => source.u32(), XdrError);
  const bytes = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3);
  source.reset(bytes, 4, 8);
  assert.equal(source.u32(), 2);
  assert.throws(() => source.u32(), XdrError);
});

Deno.test("XdrReader.reset() throws for a window outside the array", () => {
  for (const [start, end] of [[-1, 2], [3, 2], [0, 5]] as const) {
    assert.throws(() => new XdrReader(new Uint8Array(4), start, end), {
      name: "RangeError",
      message: `Cannot read XDR: window ${start}..${end} is not inside 0..4`,
    });
  }
});

Deno.test("XdrReader reads a view of a larger buffer", () => {
  const large = new Uint8Array(32).fill(0xff);
  large.set([0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], 9);
  const source = new XdrReader(large.subarray(9, 21));
  assert.equal(source.f64(), 1.5);
  assert.equal(source.u32(), 7);
});

Deno.test("XdrReader.opaque() returns a view, XdrReader.string() a text of its own", () => {
  const bytes = Uint8Array.of(0, 0, 0, 1, 0x61, 0, 0, 0, 5, 6, 7, 8);
  const source = new XdrReader(bytes);
  const text = source.string(9);
  const view = source.opaque(4);
  bytes.fill(0x7a);
  assert.equal(text, "a");
  assert.deepEqual(view, Uint8Array.of(0x7a, 0x7a, 0x7a, 0x7a));
});
