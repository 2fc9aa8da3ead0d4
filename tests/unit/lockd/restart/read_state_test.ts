import assert from "node:assert/strict";
import { readState } from "../../../../src/lockd/restart/read_state.ts";
import { RestartStateError } from "../../../../src/lockd/restart/restart_state_error.ts";
import type { JsonValue } from "../../../../src/lockd/restart/state.ts";
import { writeState } from "../../../../src/lockd/restart/write_state.ts";
import {
  bytesOf,
  edited,
  example,
  EXAMPLE_PID,
  EXAMPLE_STATE,
  exampleBytes,
  fullState,
  stateOf,
  testRefusals,
} from "./documents.ts";

const LOCK = "daemon.servers.virtlockd";

Deno.test("readState() reads what libvirt 9.0.0 wrote", () => {
  assert.deepEqual(stateOf(exampleBytes()), EXAMPLE_STATE);
});

Deno.test("readState() ignores fields that it does not know, at every level", () => {
  const places = [
    "",
    "daemon.",
    "daemon.servers.",
    `${LOCK}.`,
    `${LOCK}.services[0].`,
    `${LOCK}.services[0].socks[0].`,
    `${LOCK}.clients[0].`,
    `${LOCK}.clients[0].sock.`,
    `${LOCK}.clients[0].privateData.`,
    "defaultLockspace.",
    "lockspaces[0].",
    "lockspaces[0].resources[0].",
  ];
  const document = places.reduce(
    (inner, place) => edited(inner, `${place}fd2`, { fd: 5, clients: [null] }),
    example(),
  );
  assert.deepEqual(stateOf(document), EXAMPLE_STATE);
});

Deno.test("readState() does not depend on the order of fields or on white space", () => {
  const reversed = (value: JsonValue): JsonValue => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(reversed);
    return Object.fromEntries(Object.entries(value).reverse().map(([key, inner]) => [key, reversed(inner)]));
  };
  const text = JSON.stringify(reversed(example()), null, 7).replaceAll("/", "\\/");
  assert.deepEqual(stateOf(new TextEncoder().encode(`\n${text}\n\n`)), EXAMPLE_STATE);
});

Deno.test("readState() keeps bytes of a name that are not UTF-8", () => {
  const text = JSON.stringify(example()).replaceAll("36001405abc", "36#05\u00e9");
  const bytes = new TextEncoder().encode(text).map((byte) => byte === 0x23 ? 0xe9 : byte);
  const resource = stateOf(bytes).lockspaces[2]?.resources[0];
  assert.equal(resource?.record.name, "36\udce905\u00e9");
  assert.equal(resource.record.path, "/var/lib/libvirt/lockd/scsivolumes/36\udce905\u00e9");
});

Deno.test("readState() turns an escape that libvirt's daemon wrote as three bytes back into the byte", () => {
  // It makes ED B2 80 .. ED B3 BF of the escapes \udc80 .. \udcff, in which this daemon writes the bytes 80
  // .. FF.
  const cases = [
    [[0xed, 0xb2, 0x80], "\udc80"],
    [[0xed, 0xb2, 0xbf], "\udcbf"],
    [[0xed, 0xb3, 0x80], "\udcc0"],
    [[0xed, 0xb3, 0xbf], "\udcff"],
    [[0xed, 0xb1, 0xbf], "\udced\udcb1\udcbf"],
  ] as const;
  const text = JSON.stringify(example());
  const place = text.indexOf("36001405abc");
  for (const [written, name] of cases) {
    const bytes = new TextEncoder().encode(text);
    bytes.set(written, place);
    assert.equal(stateOf(bytes).lockspaces[2]?.resources[0]?.record.name, `${name}01405abc`);
  }
});

Deno.test("readState() says that a document is stale when its magic is another pid, whatever else is in it", () => {
  assert.deepEqual(readState(exampleBytes(), 1), { kind: "stale", magic: "24044" });
  const strange = { magic: "024044", daemon: 5 };
  assert.deepEqual(readState(bytesOf(strange), EXAMPLE_PID), { kind: "stale", magic: "024044" });
});

Deno.test("readState() takes the pid of the document when it is given none", () => {
  const outcome = readState(exampleBytes());
  assert.equal(outcome.kind === "state" && outcome.state.pid, 24044);
});

testRefusals(example(), [
  ["magic", undefined, "magic: expected a process id as a string, got nothing"],
  ["magic", 24044, "magic: expected a process id as a string, got 24044"],
  ["magic", "x", 'magic: expected a process id as a string, got "x"'],
  ["magic", "0", 'magic: expected a process id as a string, got "0"'],
]);

for (
  const [text, message] of [
    ["", "restart state: expected JSON, got nothing"],
    ["[]", "restart state: expected an object, got an array"],
    ["null", "restart state: expected an object, got null"],
    ['"x"', 'restart state: expected an object, got "x"'],
    ["{}", "magic: expected a process id as a string, got nothing"],
    ["{", /^restart state: expected JSON, got a syntax error \(.*position 1 .*\)$/],
    ['{"magic":"1"', /^restart state: expected JSON, got a syntax error \(.+\)$/],
    ['{"magic":"1"}}', /^restart state: expected JSON, got a syntax error \(.*position 13 .*\)$/],
    ['\ufeff{"magic":"1"}', /^restart state: expected JSON, got a syntax error \(.+\)$/],
  ] as const
) {
  Deno.test(`readState() refuses the text ${JSON.stringify(text)}`, () => {
    assert.throws(() => readState(new TextEncoder().encode(text), 1), {
      name: "RestartStateError",
      message,
      path: text === "{}" ? "magic" : "",
    });
  });
}

Deno.test("readState() refuses a document cut at any byte", () => {
  const bytes = writeState(fullState());
  const end = bytes.lastIndexOf("}".charCodeAt(0));
  for (let length = 0; length <= end; length++) {
    assert.throws(() => readState(bytes.subarray(0, length), 4242), RestartStateError);
  }
});
