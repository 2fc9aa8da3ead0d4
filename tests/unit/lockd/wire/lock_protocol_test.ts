import assert from "node:assert/strict";
import {
  ACQUIRE_AUTOCREATE,
  ACQUIRE_SHARED,
  decodeCreateLockspace,
  decodeNew,
  decodeRegister,
  decodeResource,
  decodeRestrict,
  LOCK_MAX_PAYLOAD,
  LOCK_PROGRAM,
  LockProcedure,
} from "../../../../src/lockd/wire/lock_protocol.ts";
import {
  encodeCreateLockspace,
  encodeNew,
  encodeRegister,
  encodeResource,
  encodeRestrict,
} from "../../../support/lock_codec.ts";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

const OWNER = { uuid: "00112233-4455-6677-8899-aabbccddeeff", name: "vm\udcff", id: 4294967295, pid: 4242 };

// deno-fmt-ignore: one byte per line would hide the fields
const ARGUMENTS: [
  name: string,
  bytes: number[],
  args: unknown,
  decode: (reader: XdrReader) => unknown,
  encode: (writer: XdrWriter) => void,
][] = [
  [
    "REGISTER",
    [
      0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
      0, 0, 0, 3, 0x76, 0x6d, 0xff, 0, 255, 255, 255, 255, 0, 0, 0x10, 0x92, 0, 0, 0, 1,
    ],
    { owner: OWNER, flags: 1 },
    decodeRegister,
    (writer) => encodeRegister(writer, { owner: OWNER, flags: 1 }),
  ],
  [
    "RESTRICT",
    [0x80, 0, 0, 0],
    { flags: 0x80000000 },
    decodeRestrict,
    (writer) => encodeRestrict(writer, { flags: 0x80000000 }),
  ],
  [
    "NEW",
    [0, 0, 0, 2, 0x2f, 0x61, 0, 0, 0, 0, 0, 0],
    { path: "/a", flags: 0 },
    decodeNew,
    (writer) => encodeNew(writer, { path: "/a", flags: 0 }),
  ],
  [
    "ACQUIRE_RESOURCE",
    [0, 0, 0, 0, 0, 0, 0, 5, 0x2f, 0x64, 0x69, 0x73, 0x6b, 0, 0, 0, 0, 0, 0, 3],
    { path: "", name: "/disk", flags: ACQUIRE_SHARED | ACQUIRE_AUTOCREATE },
    decodeResource,
    (writer) => encodeResource(writer, { path: "", name: "/disk", flags: 3 }),
  ],
  [
    "CREATE_LOCKSPACE",
    [0, 0, 0, 4, 0x2f, 0x72, 0x75, 0x6e],
    { path: "/run" },
    decodeCreateLockspace,
    (writer) => encodeCreateLockspace(writer, { path: "/run" }),
  ],
];

for (const [name, bytes, args, decode, encode] of ARGUMENTS) {
  Deno.test(`arguments of ${name} have these bytes both ways`, () => {
    assert.deepEqual(decode(new XdrReader(Uint8Array.from(bytes))), args);
    const writer = new XdrWriter();
    encode(writer);
    assert.deepEqual([...writer.bytes], bytes);
  });

  Deno.test(`arguments of ${name} that are cut at any byte throw`, () => {
    const whole = Uint8Array.from(bytes);
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(() => decode(new XdrReader(whole, 0, end)), XdrError, `cut at ${end}`);
    }
  });

  Deno.test(`arguments of ${name} with more bytes after them are accepted`, () => {
    const reader = new XdrReader(Uint8Array.from([...bytes, 1, 2, 3]));
    assert.deepEqual(decode(reader), args);
    assert.equal(reader.remaining, 3);
  });
}

Deno.test("decodeResource() takes two strings of 65536 bytes, which fill the longest payload", () => {
  const path = "p".repeat(65536);
  const name = "\udcff".repeat(65536);
  const writer = new XdrWriter();
  encodeResource(writer, { path, name, flags: 2 });
  assert.equal(writer.length, LOCK_MAX_PAYLOAD);
  assert.deepEqual(decodeResource(new XdrReader(writer.bytes)), { path, name, flags: 2 });
});

Deno.test("every string of the lock program over 65536 bytes throws", () => {
  const long = "x".repeat(65537);
  const payloads: [decode: (reader: XdrReader) => unknown, encode: (writer: XdrWriter) => void][] = [
    [decodeRegister, (writer) => encodeRegister(writer, { owner: { ...OWNER, name: long }, flags: 0 })],
    [decodeNew, (writer) => encodeNew(writer, { path: long, flags: 0 })],
    [decodeResource, (writer) => encodeResource(writer, { path: long, name: "", flags: 0 })],
    [decodeResource, (writer) => encodeResource(writer, { path: "", name: long, flags: 0 })],
    [decodeCreateLockspace, (writer) => encodeCreateLockspace(writer, { path: long })],
  ];
  for (const [decode, encode] of payloads) {
    const writer = new XdrWriter();
    encode(writer);
    assert.throws(() => decode(new XdrReader(writer.bytes)), {
      name: "XdrError",
      message: "Cannot decode string: length 65537 is not in 0..65536",
    });
  }
});

Deno.test("encodeRegister() throws for a uuid that is none", () => {
  assert.throws(
    () => encodeRegister(new XdrWriter(), { owner: { ...OWNER, uuid: "0011" }, flags: 0 }),
    { name: "XdrError", message: 'Cannot encode uuid: "0011" is not 32 hexadecimal digits' },
  );
});

Deno.test("lock program has the numbers of docs/protocol.md", () => {
  assert.equal(LOCK_PROGRAM, 245874415);
  assert.deepEqual(LockProcedure, {
    REGISTER: 1,
    RESTRICT: 2,
    NEW: 3,
    CREATE_RESOURCE: 4,
    DELETE_RESOURCE: 5,
    ACQUIRE_RESOURCE: 6,
    RELEASE_RESOURCE: 7,
    CREATE_LOCKSPACE: 8,
  });
});
