import assert from "node:assert/strict";
import {
  ADMIN_PROGRAM,
  AdminProcedure,
  decodeClientArgs,
  decodeFlags,
  decodeListClients,
  decodeListServers,
  decodeLookupClient,
  decodeServerArgs,
  decodeSetLogging,
  decodeSetParams,
  decodeTimeout,
} from "../../../../src/chassis/wire/admin_protocol.ts";
import {
  encodeClientArgs,
  encodeFlags,
  encodeListClients,
  encodeListServers,
  encodeLookupClient,
  encodeServerArgs,
  encodeSetLogging,
  encodeSetParams,
  encodeTimeout,
} from "../../../support/admin_codec.ts";
import { ParamType } from "../../../../src/chassis/wire/typed_param.ts";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

const SERVER = [0, 0, 0, 1, 0x73, 0, 0, 0];
const CLIENT = { server: "s", id: 2n ** 64n - 1n, timestamp: -1n, transport: 0 };
const PARAMS = { server: "s", params: [{ field: "s", type: ParamType.UINT, value: 5 }], flags: 1 };

// deno-fmt-ignore: one byte per line would hide the fields
const ARGUMENTS: [
  name: string,
  bytes: number[],
  args: unknown,
  decode: (reader: XdrReader) => unknown,
  encode: (writer: XdrWriter) => void,
][] = [
  ["CONNECT_OPEN", [0, 0, 0, 1], { flags: 1 }, decodeFlags, (w) => encodeFlags(w, { flags: 1 })],
  [
    "LIST_SERVERS", [0, 0, 0, 1, 0, 0, 0, 2], { needResults: true, flags: 2 }, decodeListServers,
    (w) => encodeListServers(w, { needResults: true, flags: 2 }),
  ],
  [
    "LOOKUP_SERVER", [...SERVER, 0, 0, 0, 1], { server: "s", flags: 1 }, decodeServerArgs,
    (w) => encodeServerArgs(w, { server: "s", flags: 1 }),
  ],
  [
    "SET_CLIENT_LIMITS", [...SERVER, 0, 0, 0, 1, ...SERVER, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 1], PARAMS,
    decodeSetParams, (w) => encodeSetParams(w, PARAMS),
  ],
  [
    "LIST_CLIENTS", [...SERVER, 0, 0, 0, 0, 0, 0, 0, 1], { server: "s", needResults: false, flags: 1 },
    decodeListClients, (w) => encodeListClients(w, { server: "s", needResults: false, flags: 1 }),
  ],
  [
    "LOOKUP_CLIENT", [...SERVER, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3], { server: "s", id: 4294967298n, flags: 3 },
    decodeLookupClient, (w) => encodeLookupClient(w, { server: "s", id: 4294967298n, flags: 3 }),
  ],
  [
    "CLIENT_CLOSE", [...SERVER, ...Array(16).fill(255), 0, 0, 0, 0, 0, 0, 0, 7], { client: CLIENT, flags: 7 },
    decodeClientArgs, (w) => encodeClientArgs(w, { client: CLIENT, flags: 7 }),
  ],
  [
    "SET_LOGGING_FILTERS with a string", [0, 0, 0, 1, ...SERVER, 0, 0, 0, 0], { value: "s", flags: 0 },
    decodeSetLogging, (w) => encodeSetLogging(w, { value: "s", flags: 0 }),
  ],
  [
    "SET_LOGGING_FILTERS without one", [0, 0, 0, 0, 0, 0, 0, 1], { value: undefined, flags: 1 },
    decodeSetLogging, (w) => encodeSetLogging(w, { value: undefined, flags: 1 }),
  ],
  [
    "SET_DAEMON_TIMEOUT", [255, 255, 255, 255, 0, 0, 0, 0], { seconds: 4294967295, flags: 0 }, decodeTimeout,
    (w) => encodeTimeout(w, { seconds: 4294967295, flags: 0 }),
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
}

Deno.test("decodeListServers() takes any number but 0 as results wanted", () => {
  assert.deepEqual(decodeListServers(new XdrReader(Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0))), {
    needResults: true,
    flags: 0,
  });
});

Deno.test("decodeSetParams() throws for 33 parameters", () => {
  const params = Array.from({ length: 33 }, () => ({ field: "", type: ParamType.UINT, value: 0 }));
  const writer = new XdrWriter();
  encodeSetParams(writer, { server: "s", params: params.slice(0, 32), flags: 0 });
  assert.equal(decodeSetParams(new XdrReader(writer.bytes)).params.length, 32);
  encodeSetParams(writer.reset(), { server: "s", params, flags: 0 });
  assert.throws(() => decodeSetParams(new XdrReader(writer.bytes)), {
    name: "XdrError",
    message: "Cannot decode array: length 33 is not in 0..32",
  });
});

Deno.test("decodeSetLogging() throws for a string over 4 MiB", () => {
  const writer = new XdrWriter();
  encodeSetLogging(writer, { value: "x".repeat(4194304), flags: 0 });
  assert.equal(decodeSetLogging(new XdrReader(writer.bytes)).value?.length, 4194304);
  encodeSetLogging(writer.reset(), { value: "x".repeat(4194305), flags: 0 });
  assert.throws(() => decodeSetLogging(new XdrReader(writer.bytes)), {
    name: "XdrError",
    message: "Cannot decode string: length 4194305 is not in 0..4194304",
  });
});

Deno.test("admin program has the numbers of docs/protocol.md", () => {
  assert.equal(ADMIN_PROGRAM, 0x06900690);
  assert.deepEqual(AdminProcedure, {
    CONNECT_OPEN: 1,
    CONNECT_CLOSE: 2,
    GET_LIB_VERSION: 3,
    LIST_SERVERS: 4,
    LOOKUP_SERVER: 5,
    GET_THREADPOOL_PARAMETERS: 6,
    SET_THREADPOOL_PARAMETERS: 7,
    LIST_CLIENTS: 8,
    LOOKUP_CLIENT: 9,
    CLIENT_GET_INFO: 10,
    CLIENT_CLOSE: 11,
    GET_CLIENT_LIMITS: 12,
    SET_CLIENT_LIMITS: 13,
    GET_LOGGING_OUTPUTS: 14,
    GET_LOGGING_FILTERS: 15,
    SET_LOGGING_OUTPUTS: 16,
    SET_LOGGING_FILTERS: 17,
    UPDATE_TLS_FILES: 18,
    SET_DAEMON_TIMEOUT: 19,
    CONNECT_DAEMON_SHUTDOWN: 20,
  });
});
