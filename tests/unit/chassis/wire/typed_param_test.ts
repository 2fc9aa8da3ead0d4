import assert from "node:assert/strict";
import {
  decodeParams,
  encodeParams,
  PARAM_TYPE_NAMES,
  type TypedParam,
} from "../../../../src/chassis/wire/typed_param.ts";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

// deno-fmt-ignore: one byte per line would hide the fields
const PARAMS: [bytes: number[], param: TypedParam][] = [
  [[0, 0, 0, 1, 255, 255, 255, 255], { field: "f", type: 1, value: -1 }],
  [[0, 0, 0, 2, 255, 255, 255, 255], { field: "f", type: 2, value: 4294967295 }],
  [[0, 0, 0, 3, 255, 255, 255, 255, 255, 255, 255, 254], { field: "f", type: 3, value: -2n }],
  [[0, 0, 0, 4, 255, 255, 255, 255, 255, 255, 255, 254], { field: "f", type: 4, value: 18446744073709551614n }],
  [[0, 0, 0, 5, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], { field: "f", type: 5, value: 1.5 }],
  [[0, 0, 0, 6, 0, 0, 0, 1], { field: "f", type: 6, value: true }],
  [[0, 0, 0, 7, 0, 0, 0, 1, 0x76, 0, 0, 0], { field: "f", type: 7, value: "v" }],
];
const FIELD = [0, 0, 0, 1, 0x66, 0, 0, 0];

for (const [bytes, param] of PARAMS) {
  Deno.test(`a parameter of type ${PARAM_TYPE_NAMES[param.type]} has these bytes both ways`, () => {
    const list = [0, 0, 0, 1, ...FIELD, ...bytes];
    const writer = new XdrWriter();
    encodeParams(writer, [param]);
    assert.deepEqual([...writer.bytes], list);
    assert.deepEqual(decodeParams(new XdrReader(writer.bytes), 1, 1), [param]);
    for (let end = 0; end < list.length; end++) {
      assert.throws(() => decodeParams(new XdrReader(writer.bytes, 0, end), 1, 1), XdrError, `cut at ${end}`);
    }
  });
}

Deno.test("decodeParams() reads a list of all types in order", () => {
  const list = PARAMS.map(([, param]) => param);
  const writer = new XdrWriter();
  encodeParams(writer, list);
  assert.deepEqual(decodeParams(new XdrReader(writer.bytes), 7, 1), list);
});

Deno.test("decodeParams() throws for more elements than allowed, whatever follows", () => {
  for (const count of [3, 4294967295]) {
    const writer = new XdrWriter();
    writer.u32(count);
    assert.throws(() => decodeParams(new XdrReader(writer.bytes), 2, 1), {
      message: `Cannot decode array: length ${count} is not in 0..2`,
    });
  }
});

Deno.test("decodeParams() throws for a type that is not in 1..7", () => {
  for (const [last, type] of [[0, 0], [8, 8], [255, -1]] as const) {
    const high = last === 255 ? 255 : 0;
    const bytes = Uint8Array.from([0, 0, 0, 1, ...FIELD, high, high, high, last, 0, 0, 0, 0]);
    assert.throws(() => decodeParams(new XdrReader(bytes), 1, 1), {
      name: "XdrError",
      message: `Cannot decode parameter "f": type ${type} is not in 1..7`,
    });
  }
});

Deno.test("decodeParams() throws for a field or a string value over the limit", () => {
  for (const param of [{ field: "ff", type: 7, value: "v" }, { field: "f", type: 7, value: "vv" }] as const) {
    const writer = new XdrWriter();
    encodeParams(writer, [param]);
    assert.throws(() => decodeParams(new XdrReader(writer.bytes), 1, 1), {
      message: "Cannot decode string: length 2 is not in 0..1",
    });
  }
});

Deno.test("encodeParams() throws for a value that does not fit its type", () => {
  assert.throws(() => encodeParams(new XdrWriter(), [{ field: "f", type: 2, value: -1 }]), XdrError);
});
