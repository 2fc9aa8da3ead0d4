import assert from "node:assert/strict";
import { decodeMessage, encodeMessage, type Message } from "../../../../src/etcd/link/protobuf.ts";

const INNER: Message = { name: { number: 1, type: "string" } };
const OUTER: Message = {
  text: { number: 1, type: "string" },
  yes: { number: 2, type: "bool" },
  count: { number: 3, type: "integer" },
  id: { number: 4, type: "id" },
  parts: { number: 64, type: INNER, repeated: true },
};

Deno.test("a message is written as the specification says", () => {
  const bytes = encodeMessage(OUTER, {
    text: "hé",
    yes: true,
    count: 300,
    id: "18446744073709551615",
    parts: [{ name: "a" }, {}],
  });
  assert.equal(
    bytes.toHex(),
    "0a0368c3a9" + "1001" + "18ac02" + "20ffffffffffffffffff01" + "82040" + "30a0161" + "820400",
  );
});

Deno.test("what is written is read again", () => {
  const values = { text: "x", yes: false, count: -1, id: "-5", parts: [{ name: "" }] };
  assert.deepEqual(decodeMessage(OUTER, encodeMessage(OUTER, values)), values);
});

Deno.test("a text that is no UTF-8 is read, is no other text, and is written as the same bytes", () => {
  const read = (hex: string) => decodeMessage(OUTER, Uint8Array.fromHex(hex))["text"];
  for (const hex of ["0a01ff", "0a0461ff62c3", "0a03c3a9ff", "0a02c080", "0a03eda080", "0a04efbbbf61"]) {
    const text = read(hex);
    assert.equal(encodeMessage(OUTER, { text }).toHex(), hex);
  }
  assert.equal(read("0a0461ff62c3"), "a\udcffb\udcc3");
  assert.equal(read("0a03efbfbd"), "\ufffd");
  // Read with a byte that is none beside it the é is two bytes, and written after a text it is one again.
  assert.equal(read("0a03c3a9ff"), "\udcc3\udca9\udcff");
  assert.equal(encodeMessage(OUTER, { text: "é\udcff" }).toHex(), "0a03c3a9ff");
});

for (const length of [127, 128, 255, 256, 257, 16_383, 16_384, 70_000]) {
  Deno.test(`a message that has texts of ${length} bytes is written whole`, () => {
    const text = "x".repeat(length);
    const values = { text, yes: true, count: length, id: "7", parts: [{ name: text }, { name: "last" }] };
    assert.deepEqual(decodeMessage(OUTER, encodeMessage(OUTER, values)), values);
  });
}

Deno.test("what is not there has the value that stands for nothing", () => {
  const nothing = { text: "", yes: false, count: 0, id: "0", parts: [] };
  assert.deepEqual(decodeMessage(OUTER, new Uint8Array(0)), nothing);
});

Deno.test("fields that are not known are passed over, whatever their wire type", () => {
  // Fields 9 to 12 as a number, 64 bits, bytes and 32 bits, then the text.
  const bytes = Uint8Array.fromHex("48ff01" + "510102030405060708" + "5a020000" + "6501020304" + "0a0161");
  assert.equal(decodeMessage(OUTER, bytes)["text"], "a");
});

for (
  const [what, hex] of [
    ["a number without end", "18ffffffffffffffffffffff"],
    ["a number that is cut off", "18ff"],
    ["a text that is cut off", "0a0561"],
    ["a text where a number belongs", "1a0161"],
    ["a number that JavaScript cannot hold", "18ffffffffffffff7f"],
    ["a group", "4b"],
    ["a field whose number is too large", "88808080801001"],
    ["a length that is too large", "0affffffffff0f61"],
  ] as const
) {
  Deno.test(`${what} is refused`, () => {
    assert.throws(() => decodeMessage(OUTER, Uint8Array.fromHex(hex)), RangeError);
  });
}

Deno.test("a value that does not suit its field is refused", () => {
  assert.throws(() => encodeMessage(OUTER, { text: 1 }), TypeError);
  assert.throws(() => encodeMessage(OUTER, { count: 0.5 }), TypeError);
  assert.throws(() => encodeMessage(OUTER, { id: "x" }), TypeError);
  assert.throws(() => encodeMessage(OUTER, { parts: "x" }), TypeError);
  assert.throws(() => encodeMessage(OUTER, { other: 1 }), TypeError);
});
