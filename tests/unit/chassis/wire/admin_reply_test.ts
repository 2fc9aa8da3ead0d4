import assert from "node:assert/strict";
import {
  ADMIN_LIST_MAX,
  encodeClientList,
  encodeFilters,
  encodeLibVersion,
  encodeOutputs,
  encodeServer,
  encodeServerList,
} from "../../../../src/chassis/wire/admin_reply.ts";
import {
  decodeClientList,
  decodeFilters,
  decodeLibVersion,
  decodeOutputs,
  decodeServer,
  decodeServerList,
} from "../../../support/admin_codec.ts";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

const NAME = [0, 0, 0, 1, 0x73, 0, 0, 0];
const CLIENT = { server: "s", id: 5n, timestamp: 1n, transport: 0 };

// deno-fmt-ignore: one byte per line would hide the fields
const REPLIES: [
  name: string,
  bytes: number[],
  value: unknown,
  decode: (reader: XdrReader) => unknown,
  encode: (writer: XdrWriter) => void,
][] = [
  ["the library version", [0, 0, 0, 0, 0, 0x89, 0x54, 0x40], 9000000, decodeLibVersion, (w) => encodeLibVersion(w, 9000000)],
  [
    "servers", [0, 0, 0, 2, ...NAME, ...NAME, 0, 0, 0, 2], { items: ["s", "s"], count: 2 }, decodeServerList,
    (w) => encodeServerList(w, ["s", "s"], true),
  ],
  [
    "servers when only their number is wanted", [0, 0, 0, 0, 0, 0, 0, 2], { items: [], count: 2 }, decodeServerList,
    (w) => encodeServerList(w, ["s", "s"], false),
  ],
  [
    "clients",
    [0, 0, 0, 1, ...NAME, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
    { items: [CLIENT], count: 1 }, decodeClientList, (w) => encodeClientList(w, [CLIENT], true),
  ],
  [
    "clients when only their number is wanted", [0, 0, 0, 0, 0, 0, 0, 1], { items: [], count: 1 }, decodeClientList,
    (w) => encodeClientList(w, [CLIENT], false),
  ],
  ["a server", NAME, "s", decodeServer, (w) => encodeServer(w, "s")],
  [
    "log outputs", [...NAME, 0, 0, 0, 3], { text: "s", count: 3 }, decodeOutputs,
    (w) => encodeOutputs(w, { text: "s", count: 3 }),
  ],
  [
    "log filters", [0, 0, 0, 1, ...NAME, 0, 0, 0, 3], { text: "s", count: 3 }, decodeFilters,
    (w) => encodeFilters(w, { text: "s", count: 3 }),
  ],
  [
    "no log filters", [0, 0, 0, 0, 0, 0, 0, 0], { text: undefined, count: 0 }, decodeFilters,
    (w) => encodeFilters(w, { text: undefined, count: 0 }),
  ],
];

for (const [name, bytes, value, decode, encode] of REPLIES) {
  Deno.test(`a reply with ${name} has these bytes both ways`, () => {
    assert.deepEqual(decode(new XdrReader(Uint8Array.from(bytes))), value);
    const writer = new XdrWriter();
    encode(writer);
    assert.deepEqual([...writer.bytes], bytes);
  });

  Deno.test(`a reply with ${name} that is cut at any byte throws`, () => {
    const whole = Uint8Array.from(bytes);
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(() => decode(new XdrReader(whole, 0, end)), XdrError, `cut at ${end}`);
    }
  });
}

Deno.test("encodeClientList() writes 16384 clients, and throws for one more unless only their number is wanted", () => {
  const clients = Array.from({ length: ADMIN_LIST_MAX + 1 }, () => CLIENT);
  const writer = new XdrWriter();
  encodeClientList(writer, clients.slice(1), true);
  assert.equal(decodeClientList(new XdrReader(writer.bytes)).items.length, 16384);
  assert.throws(() => encodeClientList(writer.reset(), clients, true), {
    name: "XdrError",
    message: "Cannot encode list: length 16385 is not in 0..16384",
  });
  encodeClientList(writer.reset(), clients, false);
  assert.deepEqual(decodeClientList(new XdrReader(writer.bytes)), { items: [], count: 16385 });
});

Deno.test("decodeServerList() throws for a list over 16384, whatever follows", () => {
  assert.throws(() => decodeServerList(new XdrReader(Uint8Array.of(0, 0, 0x40, 1))), {
    name: "XdrError",
    message: "Cannot decode array: length 16385 is not in 0..16384",
  });
});
