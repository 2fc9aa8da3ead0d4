import assert from "node:assert/strict";
import { readState } from "../../../src/restart/read_state.ts";
import type { ClientState, JsonValue, RestartState } from "../../../src/restart/state.ts";
import { at, bytesOf, edited, example, EXAMPLE_PID, exampleBytes } from "./documents.ts";

const LOCK = "daemon.servers.virtlockd";
const F18 = { pid: 1722, name: "f18x86_64", uuid: "97586ba9-df27-9459-c806-f016c8bbd224", id: 6 };
const F16 = { pid: 1784, name: "f16x86_64", uuid: "7b8e5e42-b875-61e9-b981-91ad8fa46979", id: 7 };
const CONNECTED = 1795230578000;
const LOCKSPACES = [
  {
    path: "",
    resources: [
      {
        id: 1,
        name: "/var/lib/libvirt/images/shared.img",
        path: "/var/lib/libvirt/images/shared.img",
        fd: 13,
        shared: true,
        autocreate: false,
        holdings: [{ owner: F18, since: 0 }, { owner: F16, since: 0 }],
      },
      {
        id: 2,
        name: "/var/lib/libvirt/images/a.img",
        path: "/var/lib/libvirt/images/a.img",
        fd: 12,
        shared: false,
        autocreate: false,
        holdings: [{ owner: F18, since: 0 }],
      },
    ],
  },
  {
    path: "/var/lib/libvirt/lockd/files",
    resources: [{
      id: 3,
      name: "6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c",
      path: "/var/lib/libvirt/lockd/files/6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c",
      fd: 14,
      shared: false,
      autocreate: true,
      holdings: [{ owner: F18, since: 0 }],
    }],
  },
  {
    path: "/var/lib/libvirt/lockd/scsivolumes",
    resources: [{
      id: 4,
      name: "36001405abc",
      path: "/var/lib/libvirt/lockd/scsivolumes/36001405abc",
      fd: 16,
      shared: true,
      autocreate: true,
      holdings: [{ owner: F16, since: 0 }],
    }],
  },
];

const VIRTLOCKD = {
  maxClients: 1024,
  maxAnonymousClients: 1024,
  nextClientId: 3,
  listeners: [{ fd: 6, unlinkPath: true }],
  clients: [
    { id: 1, fd: 5, connectedAt: CONNECTED, restricted: true, owner: F18 },
    { id: 2, fd: 15, connectedAt: CONNECTED, restricted: true, owner: F16 },
  ],
};

const ADMIN = {
  maxClients: 5000,
  maxAnonymousClients: 5000,
  nextClientId: 2,
  listeners: [{ fd: 7, unlinkPath: true }],
  clients: [{ id: 1, fd: 17, connectedAt: CONNECTED, restricted: false }],
};

function stateOf(bytes: Uint8Array, pid = EXAMPLE_PID): RestartState {
  const outcome = readState(bytes, pid);
  assert.equal(outcome.kind, "state");
  return (outcome as { kind: "state"; state: RestartState }).state;
}

function lockClients(document: JsonValue): readonly ClientState[] {
  return stateOf(bytesOf(document)).servers.virtlockd.clients;
}

Deno.test("readState() reads what libvirt 9.0.0 wrote", () => {
  assert.deepEqual(stateOf(exampleBytes()), {
    pid: EXAMPLE_PID,
    servers: { virtlockd: VIRTLOCKD, admin: ADMIN },
    lockspaces: LOCKSPACES,
    nextResourceId: 5,
  });
});

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
  const state = stateOf(bytesOf({
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
  }));
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
  assert.deepEqual(stateOf(bytesOf(document)).servers, { virtlockd: VIRTLOCKD });
});

Deno.test("readState() takes the second server of an array for the admin server", () => {
  const document = edited(example(), "daemon.servers", [
    at(example(), LOCK),
    at(example(), "daemon.servers.admin"),
  ]);
  assert.deepEqual(stateOf(bytesOf(document)).servers, { virtlockd: VIRTLOCKD, admin: ADMIN });
});

Deno.test("readState() prefers daemon to server", () => {
  assert.deepEqual(stateOf(bytesOf(edited(example(), "server", {}))).servers.virtlockd, VIRTLOCKD);
});

Deno.test("readState() leaves the admin server out when the document does", () => {
  const document = edited(example(), "daemon.servers.admin", undefined);
  assert.deepEqual(stateOf(bytesOf(document)).servers, { virtlockd: VIRTLOCKD });
});

Deno.test("readState() takes max_clients for a missing max_anonymous_clients", () => {
  const document = edited(example(), `${LOCK}.max_anonymous_clients`, undefined);
  assert.equal(stateOf(bytesOf(document)).servers.virtlockd.maxAnonymousClients, 1024);
});

Deno.test("readState() numbers clients without an id from next_client_id on", () => {
  const first = edited(example(), `${LOCK}.clients[0].id`, undefined);
  const both = edited(first, `${LOCK}.clients[1].id`, undefined);
  assert.deepEqual(lockClients(first).map(({ id }) => id), [3, 2]);
  assert.deepEqual(lockClients(both).map(({ id }) => id), [3, 4]);
  assert.equal(stateOf(bytesOf(both)).servers.virtlockd.nextClientId, 5);
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
    const { listeners } = stateOf(bytesOf(edited(example(), path, value))).servers.virtlockd;
    assert.deepEqual(listeners, [{ fd: 6, unlinkPath }]);
  }
});

Deno.test("readState() takes several services and sockets, or none", () => {
  const sock = (fd: number) => ({ fd, errfd: -1, pid: 0, isClient: false, unlinkUNIX: true });
  const many = edited(example(), `${LOCK}.services`, [{ socks: [sock(50), sock(51)] }, {
    socks: [sock(52)],
  }]);
  assert.deepEqual(stateOf(bytesOf(many)).servers.virtlockd.listeners.map(({ fd }) => fd), [50, 51, 52]);
  const none = edited(example(), `${LOCK}.services`, []);
  assert.deepEqual(stateOf(bytesOf(none)).servers.virtlockd.listeners, []);
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

Deno.test("readState() knows nothing but the pid of an owner that is not connected", () => {
  const document = edited(example(), `${LOCK}.clients[1].privateData.ownerPid`, 1785);
  assert.deepEqual(stateOf(bytesOf(document)).lockspaces[2]?.resources[0]?.holdings, [
    { owner: { pid: 1784, name: "", uuid: "00000000-0000-0000-0000-000000000000", id: 0 }, since: 0 },
  ]);
});

Deno.test("readState() reads owner pids that libvirt wrote as 64 bits of a negative number", () => {
  const text = JSON.stringify(example()).replace('"owners":[1784]', '"owners":[18446744073709551615,0]')
    .replace('"ownerPid":1784', '"ownerPid":4294967295')
    .replace('"owners":[1722,1784]', '"owners":[1722,18446744071562067968]');
  const { lockspaces } = stateOf(new TextEncoder().encode(text));
  const pids = lockspaces.map(({ resources }) => resources[0]?.holdings.map(({ owner }) => owner.pid));
  assert.deepEqual(pids, [[1722, 2147483648], [1722], [4294967295, 0]]);
  assert.deepEqual(lockspaces[2]?.resources[0]?.holdings[0]?.owner, { ...F16, pid: 4294967295 });
});

Deno.test("readState() doubts a lock that the daemon before did not hold", () => {
  const document = edited(example(), "defaultLockspace.resources[1].lockHeld", false);
  const resources = stateOf(bytesOf(document)).lockspaces[0]?.resources;
  assert.deepEqual(resources?.map(({ doubtful }) => doubtful), [
    undefined,
    "the daemon before did not hold its lock",
  ]);
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
  assert.deepEqual(stateOf(bytesOf(document)), stateOf(exampleBytes()));
});

Deno.test("readState() does not depend on the order of fields or on white space", () => {
  const reversed = (value: JsonValue): JsonValue => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(reversed);
    return Object.fromEntries(Object.entries(value).reverse().map(([key, inner]) => [key, reversed(inner)]));
  };
  const text = JSON.stringify(reversed(example()), null, 7).replaceAll("/", "\\/");
  assert.deepEqual(stateOf(new TextEncoder().encode(`\n${text}\n\n`)), stateOf(exampleBytes()));
});

Deno.test("readState() keeps bytes of a name that are not UTF-8", () => {
  const text = JSON.stringify(example()).replaceAll("36001405abc", "36#05\u00e9");
  const bytes = new TextEncoder().encode(text).map((byte) => byte === 0x23 ? 0xe9 : byte);
  const resource = stateOf(bytes).lockspaces[2]?.resources[0];
  assert.equal(resource?.name, "36\udce905\u00e9");
  assert.equal(resource.path, "/var/lib/libvirt/lockd/scsivolumes/36\udce905\u00e9");
});

Deno.test("readState() turns an escape that libvirt's daemon wrote as three bytes back into the byte", () => {
  // It makes ED B2 80 .. ED B3 BF of the escapes \udc80 .. \udcff, in which this daemon writes the bytes 80 .. FF.
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
    assert.equal(stateOf(bytes).lockspaces[2]?.resources[0]?.name, `${name}01405abc`);
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
