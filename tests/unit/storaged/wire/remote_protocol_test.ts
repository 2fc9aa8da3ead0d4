import assert from "node:assert/strict";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";
import {
  readOptionalPool,
  readPool,
  readVolume,
  writeList,
  writeNames,
  writePool,
  writeVolume,
} from "../../../../src/storaged/wire/remote_protocol.ts";

const POOL = { name: "pool", uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f" };
const POOL_BYTES = [
  ...[0, 0, 0, 4, 0x70, 0x6f, 0x6f, 0x6c],
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
];

Deno.test("a pool is its name and the sixteen bytes of its uuid", () => {
  const writer = new XdrWriter();
  writePool(writer, POOL);
  assert.deepEqual([...writer.bytes], POOL_BYTES);
  assert.deepEqual(readPool(new XdrReader(writer.bytes)), POOL);
});

Deno.test("a pool whose uuid is none is not written", () => {
  assert.throws(() => writePool(new XdrWriter(), { name: "x", uuid: "zz" }), XdrError);
});

Deno.test("a pool that may be left out has a word before it", () => {
  assert.equal(readOptionalPool(new XdrReader(new Uint8Array([0, 0, 0, 0]))), undefined);
  assert.deepEqual(readOptionalPool(new XdrReader(new Uint8Array([0, 0, 0, 1, ...POOL_BYTES]))), POOL);
});

Deno.test("a volume is three strings", () => {
  const writer = new XdrWriter();
  writeVolume(writer, { pool: "p", name: "vv", key: "/k" });
  const bytes = [0, 0, 0, 1, 0x70, 0, 0, 0, 0, 0, 0, 2, 0x76, 0x76, 0, 0, 0, 0, 0, 2, 0x2f, 0x6b, 0, 0];
  assert.deepEqual([...writer.bytes], bytes);
  assert.deepEqual(readVolume(new XdrReader(writer.bytes)), { pool: "p", name: "vv", key: "/k" });
});

Deno.test("a list that is not wanted is its length alone", () => {
  const writer = new XdrWriter();
  writeList(writer, ["a", "b"], false, (each, item) => each.string(item));
  assert.deepEqual([...writer.bytes], [0, 0, 0, 0, 0, 0, 0, 2]);
});

Deno.test("a list of more than 16384 is not written, its length is", () => {
  const many = Array.from({ length: 16385 }, () => "x");
  const writer = new XdrWriter();
  assert.throws(() => writeList(writer, many, true, (each, item) => each.string(item)), XdrError);
  writeList(writer.reset(), many, false, (each, item) => each.string(item));
  assert.deepEqual([...writer.bytes], [0, 0, 0, 0, 0, 0, 0x40, 1]);
});

Deno.test("names are a counted list of strings", () => {
  const writer = new XdrWriter();
  writeNames(writer, ["a"]);
  assert.deepEqual([...writer.bytes], [0, 0, 0, 1, 0, 0, 0, 1, 0x61, 0, 0, 0]);
});
