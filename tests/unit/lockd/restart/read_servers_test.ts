import assert from "node:assert/strict";
import { readState } from "../../../../src/lockd/restart/read_state.ts";
import type { ClientState, JsonValue } from "../../../../src/lockd/restart/state.ts";
import { writeState } from "../../../../src/lockd/restart/write_state.ts";
import {
  at,
  bytesOf,
  CONNECTED,
  edited,
  example,
  EXAMPLE_STATE,
  F18,
  fullState,
  stateOf,
  testRefusals,
} from "./documents.ts";

const LOCK = "daemon.servers.virtlockd";
const OWN = "denoVirtlockd";
const OWN_DOCUMENT: JsonValue = JSON.parse(new TextDecoder().decode(writeState(fullState())));

function lockClients(document: JsonValue): readonly ClientState[] {
  return stateOf(document).servers.virtlockd.clients;
}

Deno.test("readState() reads the one server object of libvirt 1.0, without names, ids and connection times", () => {
  const fields = {
    min_workers: 0,
    max_workers: 0,
    priority_workers: 0,
    max_clients: 20,
    keepaliveInterval: 4294967295,
    keepaliveCount: 0,
    keepaliveRequired: false,
  };
  const socket = { errfd: -1, pid: 0, isClient: true };
  const client = { auth: 0, readonly: false, nrequests_max: 1 };
  const owner = {
    restricted: false,
    ownerPid: 1722,
    ownerId: 6,
    ownerName: "f18x86_64",
    ownerUUID: F18.uuid,
  };
  const state = stateOf({
    server: {
      ...fields,
      services: [{
        auth: 0,
        readonly: false,
        nrequests_client_max: 1,
        socks: [{ fd: 6, errfd: -1, pid: 0, isClient: false }],
      }],
      clients: [
        { ...client, sock: { fd: 9, ...socket }, privateData: owner },
        { ...client, sock: { fd: 8, ...socket }, privateData: { ...owner, ownerId: 0, ownerName: null } },
      ],
    },
    defaultLockspace: { resources: [] },
    lockspaces: [],
    magic: "24044",
  });
  assert.deepEqual(state.servers, {
    virtlockd: {
      maxClients: 20,
      maxAnonymousClients: 20,
      nextClientId: 3,
      listeners: [{ fd: 6, unlinkPath: true }],
      clients: [
        { id: 1, fd: 9, connectedAt: 0, restricted: false, owner: F18 },
        { id: 2, fd: 8, connectedAt: 0, restricted: false },
      ],
    },
  });
  assert.deepEqual(state.lockspaces, [{ path: "", resources: [] }]);
});

Deno.test("readState() reads servers in an array, as libvirt 1.2 wrote the one it had", () => {
  const document = edited(example(), "daemon.servers", [at(example(), LOCK)]);
  assert.deepEqual(stateOf(document).servers, { virtlockd: EXAMPLE_STATE.servers.virtlockd });
});

Deno.test("readState() takes the second server of an array for the admin server", () => {
  const document = edited(example(), "daemon.servers", [
    at(example(), LOCK),
    at(example(), "daemon.servers.admin"),
  ]);
  assert.deepEqual(stateOf(document).servers, EXAMPLE_STATE.servers);
});

Deno.test("readState() prefers daemon to server", () => {
  assert.deepEqual(
    stateOf(edited(example(), "server", {})).servers.virtlockd,
    EXAMPLE_STATE.servers.virtlockd,
  );
});

Deno.test("readState() leaves the admin server out when the document does", () => {
  const document = edited(example(), "daemon.servers.admin", undefined);
  assert.deepEqual(stateOf(document).servers, { virtlockd: EXAMPLE_STATE.servers.virtlockd });
});

Deno.test("readState() takes max_clients for a missing max_anonymous_clients", () => {
  const document = edited(example(), `${LOCK}.max_anonymous_clients`, undefined);
  assert.equal(stateOf(document).servers.virtlockd.maxAnonymousClients, 1024);
});

Deno.test("readState() numbers clients without an id from next_client_id on", () => {
  const first = edited(example(), `${LOCK}.clients[0].id`, undefined);
  const both = edited(first, `${LOCK}.clients[1].id`, undefined);
  assert.deepEqual(lockClients(first).map(({ id }) => id), [3, 2]);
  assert.deepEqual(lockClients(both).map(({ id }) => id), [3, 4]);
  assert.equal(stateOf(both).servers.virtlockd.nextClientId, 5);
});

Deno.test("readState() never numbers a client like another one when next_client_id is missing or low", () => {
  const first = edited(example(), `${LOCK}.clients[0].id`, undefined);
  for (const next of [undefined, 1]) {
    const document = edited(first, `${LOCK}.next_client_id`, next);
    assert.deepEqual(lockClients(document).map(({ id }) => id), [3, 2]);
  }
});

Deno.test("readState() takes 0 for a missing conn_time, and for a negative one what it is", () => {
  const path = `${LOCK}.clients[0].conn_time`;
  assert.equal(lockClients(edited(example(), path, undefined))[0]?.connectedAt, 0);
  assert.equal(lockClients(edited(example(), path, -5))[0]?.connectedAt, -5000);
});

Deno.test("readState() unlinks a listening socket unless the document says no", () => {
  const path = `${LOCK}.services[0].socks[0].unlinkUNIX`;
  for (const [value, unlinkPath] of [[undefined, true], [true, true], [false, false]] as const) {
    const { listeners } = stateOf(edited(example(), path, value)).servers.virtlockd;
    assert.deepEqual(listeners, [{ fd: 6, unlinkPath }]);
  }
});

Deno.test("readState() takes several services and sockets, or none", () => {
  const sock = (fd: number) => ({ fd, errfd: -1, pid: 0, isClient: false, unlinkUNIX: true });
  const many = edited(example(), `${LOCK}.services`, [{ socks: [sock(50), sock(51)] }, {
    socks: [sock(52)],
  }]);
  assert.deepEqual(stateOf(many).servers.virtlockd.listeners.map(({ fd }) => fd), [50, 51, 52]);
  const none = edited(example(), `${LOCK}.services`, []);
  assert.deepEqual(stateOf(none).servers.virtlockd.listeners, []);
});

Deno.test("readState() takes a domain id of 0 for a client that has not registered, whatever its name is", () => {
  const session = { restricted: false, ownerPid: 7, ownerId: 0, ownerName: null };
  const clients = lockClients(edited(example(), `${LOCK}.clients[0].privateData`, session));
  assert.deepEqual(clients[0], { id: 1, fd: 5, connectedAt: CONNECTED, restricted: false });
});

Deno.test("readState() keeps an owner with pid 0 or an id of 32 bits", () => {
  const session = {
    restricted: true,
    ownerPid: 0,
    ownerId: 4294967295,
    ownerName: "",
    ownerUUID: "97586BA9DF279459C806F016C8BBD224",
  };
  assert.deepEqual(lockClients(edited(example(), `${LOCK}.clients[0].privateData`, session))[0]?.owner, {
    pid: 0,
    id: 4294967295,
    name: "",
    uuid: "97586ba9-df27-9459-c806-f016c8bbd224",
  });
});

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

testRefusals(example(), [
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
]);

testRefusals(OWN_DOCUMENT, [
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
]);
