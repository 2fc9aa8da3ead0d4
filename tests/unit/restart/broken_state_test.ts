import assert from "node:assert/strict";
import { readState } from "../../../src/restart/read_state.ts";
import { RestartStateError } from "../../../src/restart/restart_state_error.ts";
import type { JsonValue } from "../../../src/restart/state.ts";
import { writeState } from "../../../src/restart/write_state.ts";
import { at, bytesOf, edited, example, fullState } from "./documents.ts";

const LOCK = "daemon.servers.virtlockd";
const OWN = "denoVirtlockd";

/** Place of the change, new value (undefined: removed), the rest of the message. */
type Case = readonly [path: string, value: JsonValue | undefined, message: string];

/** Documents of libvirt's, each with one thing wrong. */
const BROKEN: readonly Case[] = [
  ["magic", undefined, "magic: expected a process id as a string, got nothing"],
  ["magic", 24044, "magic: expected a process id as a string, got 24044"],
  ["magic", "x", 'magic: expected a process id as a string, got "x"'],
  ["magic", "0", 'magic: expected a process id as a string, got "0"'],
  ["daemon", undefined, "daemon: expected an object, got nothing"],
  ["daemon", null, "daemon: expected an object, got null"],
  ["daemon", [], "daemon: expected an object, got an array"],
  ["daemon.servers", undefined, "daemon.servers: expected an object, got nothing"],
  ["daemon.servers", [], "daemon.servers: expected one or two servers, got none"],
  ["daemon.servers", [1], "daemon.servers[0]: expected an object, got 1"],
  ["daemon.servers", [{}, {}, {}], "daemon.servers: expected one or two servers, got 3"],
  [LOCK, undefined, `${LOCK}: expected an object, got nothing`],
  ["daemon.servers.admin", null, "daemon.servers.admin: expected an object, got null"],
  ["daemon.servers.admin.clients", {}, "daemon.servers.admin.clients: expected an array, got an object"],
  [`${LOCK}.max_clients`, undefined, `${LOCK}.max_clients: expected a number of clients, got nothing`],
  [`${LOCK}.max_clients`, 2 ** 32, `${LOCK}.max_clients: expected a number of clients, got 4294967296`],
  [
    `${LOCK}.max_anonymous_clients`,
    "5",
    `${LOCK}.max_anonymous_clients: expected a number of clients, got "5"`,
  ],
  [`${LOCK}.next_client_id`, null, `${LOCK}.next_client_id: expected a client id, got null`],
  [`${LOCK}.services`, undefined, `${LOCK}.services: expected an array, got nothing`],
  [`${LOCK}.services[0]`, true, `${LOCK}.services[0]: expected an object, got true`],
  [`${LOCK}.services[0].socks`, null, `${LOCK}.services[0].socks: expected an array, got null`],
  [
    `${LOCK}.services[0].socks[0].fd`,
    -1,
    `${LOCK}.services[0].socks[0].fd: expected a descriptor number, got -1`,
  ],
  [
    `${LOCK}.services[0].socks[0].unlinkUNIX`,
    1,
    `${LOCK}.services[0].socks[0].unlinkUNIX: expected true or false, got 1`,
  ],
  [`${LOCK}.clients`, undefined, `${LOCK}.clients: expected an array, got nothing`],
  [`${LOCK}.clients[1]`, "x", `${LOCK}.clients[1]: expected an object, got "x"`],
  [`${LOCK}.clients[1].id`, 1, `${LOCK}.clients[1].id: expected an id of its own, got 1`],
  [`${LOCK}.clients[1].id`, 2 ** 53, `${LOCK}.clients[1].id: expected a client id, got 9007199254740992`],
  [`${LOCK}.clients[1].conn_time`, 1.5, `${LOCK}.clients[1].conn_time: expected Unix seconds, got 1.5`],
  [`${LOCK}.clients[1].sock`, undefined, `${LOCK}.clients[1].sock: expected an object, got nothing`],
  [`${LOCK}.clients[1].sock.fd`, "x", `${LOCK}.clients[1].sock.fd: expected a descriptor number, got "x"`],
  [
    `${LOCK}.clients[1].sock.fd`,
    2 ** 31,
    `${LOCK}.clients[1].sock.fd: expected a descriptor number, got 2147483648`,
  ],
  [
    `${LOCK}.clients[1].privateData`,
    undefined,
    `${LOCK}.clients[1].privateData: expected an object, got nothing`,
  ],
  [
    `${LOCK}.clients[1].privateData`,
    {},
    `${LOCK}.clients[1].privateData.restricted: expected true or false, got nothing`,
  ],
  [
    `${LOCK}.clients[0].privateData.ownerPid`,
    -1,
    `${LOCK}.clients[0].privateData.ownerPid: expected a process id, got -1`,
  ],
  [
    `${LOCK}.clients[0].privateData.ownerId`,
    "6",
    `${LOCK}.clients[0].privateData.ownerId: expected a domain id, got "6"`,
  ],
  [
    `${LOCK}.clients[0].privateData.ownerName`,
    null,
    `${LOCK}.clients[0].privateData.ownerName: expected a string, got null`,
  ],
  [
    `${LOCK}.clients[0].privateData.ownerUUID`,
    "97586ba9",
    `${LOCK}.clients[0].privateData.ownerUUID: expected a uuid, got "97586ba9"`,
  ],
  ["defaultLockspace", undefined, "defaultLockspace: expected an object, got nothing"],
  ["defaultLockspace.resources", {}, "defaultLockspace.resources: expected an array, got an object"],
  [
    "defaultLockspace.resources[1].name",
    undefined,
    "defaultLockspace.resources[1].name: expected a string, got nothing",
  ],
  [
    "defaultLockspace.resources[1].name",
    "/var/lib/libvirt/images/shared.img",
    "defaultLockspace.resources[1].name: expected a name that no other resource of the lockspace has, " +
    'got "/var/lib/libvirt/images/shared.img"',
  ],
  [
    "defaultLockspace.resources[1].path",
    5,
    "defaultLockspace.resources[1].path: expected a string, got 5",
  ],
  [
    "defaultLockspace.resources[1].fd",
    null,
    "defaultLockspace.resources[1].fd: expected a descriptor number, got null",
  ],
  [
    "defaultLockspace.resources[1].lockHeld",
    undefined,
    "defaultLockspace.resources[1].lockHeld: expected true or false, got nothing",
  ],
  ["defaultLockspace.resources[1].flags", -1, "defaultLockspace.resources[1].flags: expected flags, got -1"],
  [
    "defaultLockspace.resources[1].owners",
    5,
    "defaultLockspace.resources[1].owners: expected an array, got 5",
  ],
  [
    "defaultLockspace.resources[1].owners",
    [],
    "defaultLockspace.resources[1].owners: expected at least one owner, got an empty array",
  ],
  [
    "defaultLockspace.resources[0].owners[1]",
    "1784",
    'defaultLockspace.resources[0].owners[1]: expected a process id, got "1784"',
  ],
  [
    "defaultLockspace.resources[0].owners[1]",
    2 ** 32,
    "defaultLockspace.resources[0].owners[1]: expected a process id, got 4294967296",
  ],
  ["lockspaces", undefined, "lockspaces: expected an array, got nothing"],
  ["lockspaces[1].directory", undefined, "lockspaces[1].directory: expected a path, got nothing"],
  [
    "lockspaces[1].directory",
    "/var/lib/libvirt/lockd/files",
    'lockspaces[1].directory: expected a path that no other lockspace has, got "/var/lib/libvirt/lockd/files"',
  ],
  [
    "lockspaces[1].directory",
    "",
    'lockspaces[1].directory: expected a path that no other lockspace has, got ""',
  ],
  [
    "lockspaces[0].resources[0].fd",
    16.5,
    "lockspaces[0].resources[0].fd: expected a descriptor number, got 16.5",
  ],
  [
    "lockspaces[0].resources[0].fd",
    13,
    "lockspaces[0].resources[0].fd: expected a descriptor of its own, got 13, which is named before",
  ],
  [
    `${LOCK}.clients[1].sock.fd`,
    5,
    `${LOCK}.clients[1].sock.fd: expected a descriptor of its own, got 5, which is named before`,
  ],
  [
    "daemon.servers.admin.services[0].socks[0].fd",
    6,
    "daemon.servers.admin.services[0].socks[0].fd: expected a descriptor of its own, got 6, which is named before",
  ],
];

/** Documents of ours, each with one thing wrong in what is ours. */
const BROKEN_OWN: readonly Case[] = [
  [OWN, 5, `${OWN}: expected an object, got 5`],
  [`${OWN}.version`, 2, `${OWN}.version: expected a format version from 1 to 1, got 2`],
  [`${OWN}.version`, undefined, `${OWN}.version: expected a format version from 1 to 1, got nothing`],
  [`${OWN}.nextResourceId`, "1", `${OWN}.nextResourceId: expected a resource id, got "1"`],
  [`${OWN}.owners[1].pid`, 0.5, `${OWN}.owners[1].pid: expected a process id, got 0.5`],
  [`${OWN}.owners[1].uuid`, "", `${OWN}.owners[1].uuid: expected a uuid, got ""`],
  [`${OWN}.dying[0].pidfd`, -1, `${OWN}.dying[0].pidfd: expected a descriptor number, got -1`],
  [`${OWN}.dying[0].killed`, undefined, `${OWN}.dying[0].killed: expected true or false, got nothing`],
  [`${OWN}.parked[1]`, "x", `${OWN}.parked[1]: expected a descriptor number, got "x"`],
  [
    `${OWN}.parked[1]`,
    32,
    `${OWN}.parked[1]: expected a descriptor of its own, got 32, which is named before`,
  ],
  [
    `${OWN}.kept[0].fd`,
    30,
    `${OWN}.kept[0].fd: expected a descriptor of its own, got 30, which is named before`,
  ],
  [`${OWN}.settings`, undefined, `${OWN}.settings: expected an object, got nothing`],
  [`${OWN}.settings.timeout`, -1, `${OWN}.settings.timeout: expected seconds, got -1`],
  [`${OWN}.cwd`, null, `${OWN}.cwd: expected a path, got null`],
  [`${OWN}.statistics`, undefined, `${OWN}.statistics: expected a value, got nothing`],
  [
    `${LOCK}.clients[0].${OWN}.peer`,
    undefined,
    `${LOCK}.clients[0].${OWN}.peer: expected an object, got nothing`,
  ],
  [
    `${LOCK}.clients[1].${OWN}.unserved`,
    "A*==",
    `${LOCK}.clients[1].${OWN}.unserved: expected base64 text, got "A*=="`,
  ],
  [
    `${LOCK}.clients[1].${OWN}.dropped`,
    -1,
    `${LOCK}.clients[1].${OWN}.dropped: expected a number of bytes, got -1`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}`,
    undefined,
    `lockspaces[0].resources[0].${OWN}: expected an object, got nothing`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}.lock`,
    "flock",
    `lockspaces[0].resources[0].${OWN}.lock: expected ofd or posix, got "flock"`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}.id`,
    -1,
    `lockspaces[0].resources[0].${OWN}.id: expected a resource id, got -1`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}.owners`,
    [0],
    `lockspaces[0].resources[0].${OWN}.owners[0]: expected an owner with pid 0, got one with 1722`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}.owners`,
    [3],
    `lockspaces[0].resources[0].${OWN}.owners[0]: expected an index of owners, got 3`,
  ],
  [
    `defaultLockspace.resources[0].${OWN}.owners`,
    [0, 1],
    `defaultLockspace.resources[0].${OWN}.owners: expected one entry for each of 3 owners, got 2`,
  ],
  [
    `defaultLockspace.resources[0].${OWN}.since`,
    [1, 2, 3, 4],
    `defaultLockspace.resources[0].${OWN}.since: expected one entry for each of 3 owners, got 4`,
  ],
  [
    `defaultLockspace.resources[1].${OWN}.doubtful`,
    true,
    `defaultLockspace.resources[1].${OWN}.doubtful: expected a string, got true`,
  ],
];

const OWN_DOCUMENT: JsonValue = JSON.parse(new TextDecoder().decode(writeState(fullState())));

for (const [document, cases] of [[example(), BROKEN], [OWN_DOCUMENT, BROKEN_OWN]] as const) {
  for (const [path, value, message] of cases) {
    Deno.test(`readState() refuses a document with ${path} ${JSON.stringify(value) ?? "missing"}`, () => {
      assert.throws(() => readState(bytesOf(edited(document, path, value))), {
        name: "RestartStateError",
        message,
        path: message.slice(0, message.indexOf(":")),
      });
    });
  }
}

Deno.test("readState() names the place in the form that the document has", () => {
  const { daemon: _daemon, ...rest } = example() as { readonly [key: string]: JsonValue };
  const server = edited(at(example(), LOCK), "clients[0].sock.fd", null);
  assert.throws(() => readState(bytesOf({ ...rest, server })), {
    message: "server.clients[0].sock.fd: expected a descriptor number, got null",
  });
  assert.throws(() => readState(bytesOf({ ...rest, daemon: { servers: [server] } })), {
    message: "daemon.servers[0].clients[0].sock.fd: expected a descriptor number, got null",
  });
});

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
