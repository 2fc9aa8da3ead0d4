import assert from "node:assert/strict";
import { readState } from "../../../../src/lockd/restart/read_state.ts";
import type { JsonObjectValue, JsonValue, RestartState } from "../../../../src/lockd/restart/state.ts";

const EXAMPLE = new URL("../../../fixtures/restart_state_libvirt_9.json", import.meta.url);

/** Magic of {@link exampleBytes}. */
export const EXAMPLE_PID = 24044;

/** Owner of the first guest in the example. */
export const F18 = { pid: 1722, name: "f18x86_64", uuid: "97586ba9-df27-9459-c806-f016c8bbd224", id: 6 };
/** Owner of the second one. */
export const F16 = { pid: 1784, name: "f16x86_64", uuid: "7b8e5e42-b875-61e9-b981-91ad8fa46979", id: 7 };
/** When all its clients connected, in Unix milliseconds. */
export const CONNECTED = 1795230578000;
const LOCKSPACES = [
  {
    path: "",
    resources: [
      {
        record: {
          id: 1,
          lockspace: "",
          name: "/var/lib/libvirt/images/shared.img",
          path: "/var/lib/libvirt/images/shared.img",
          shared: true,
          autocreate: false,
          holdings: [{ owner: F18, since: 0 }, { owner: F16, since: 0 }],
          state: { kind: "held" } as const,
        },
        handle: { kind: "file", fd: 13, lock: "unasked" } as const,
      },
      {
        record: {
          id: 2,
          lockspace: "",
          name: "/var/lib/libvirt/images/a.img",
          path: "/var/lib/libvirt/images/a.img",
          shared: false,
          autocreate: false,
          holdings: [{ owner: F18, since: 0 }],
          state: { kind: "held" } as const,
        },
        handle: { kind: "file", fd: 12, lock: "unasked" } as const,
      },
    ],
  },
  {
    path: "/var/lib/libvirt/lockd/files",
    resources: [{
      record: {
        id: 3,
        lockspace: "/var/lib/libvirt/lockd/files",
        name: "6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c",
        path: "/var/lib/libvirt/lockd/files/6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c6d0a1c",
        shared: false,
        autocreate: true,
        holdings: [{ owner: F18, since: 0 }],
        state: { kind: "held" } as const,
      },
      handle: { kind: "file", fd: 14, lock: "unasked" } as const,
    }],
  },
  {
    path: "/var/lib/libvirt/lockd/scsivolumes",
    resources: [{
      record: {
        id: 4,
        lockspace: "/var/lib/libvirt/lockd/scsivolumes",
        name: "36001405abc",
        path: "/var/lib/libvirt/lockd/scsivolumes/36001405abc",
        shared: true,
        autocreate: true,
        holdings: [{ owner: F16, since: 0 }],
        state: { kind: "held" } as const,
      },
      handle: { kind: "file", fd: 16, lock: "unasked" } as const,
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

/** What {@link exampleBytes} says. */
export const EXAMPLE_STATE = {
  pid: EXAMPLE_PID,
  servers: { virtlockd: VIRTLOCKD, admin: ADMIN },
  lockspaces: LOCKSPACES,
  nextResourceId: 5,
};

/**
 * A document captured from a live libvirt 9.0.0 daemon: two guests, two lockspaces, a shared disk, one admin
 * client.
 */
export function exampleBytes(): Uint8Array {
  return Deno.readFileSync(EXAMPLE);
}

/** The same, parsed. */
export function example(): JsonValue {
  return JSON.parse(new TextDecoder().decode(exampleBytes()));
}

/** The bytes of a document. */
export function bytesOf(document: JsonValue): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document));
}

/** What a dotted path such as `daemon.servers.admin.clients[0]` leads to. */
export function at(document: JsonValue, path: string): JsonValue {
  return keysOf(path).reduce<JsonValue>((value, key) => {
    const next = (value as JsonObjectValue)[key];
    if (next === undefined) throw new Error(`Test document has no ${path}`);
    return next;
  }, document);
}

/** The document with one value replaced, added, or, with undefined, removed. */
export function edited(document: JsonValue, path: string, value: JsonValue | undefined): JsonValue {
  const keys = keysOf(path);
  const last = keys.pop();
  if (last === undefined) throw new Error("Edit document: the path is empty");
  const copy: JsonValue = structuredClone(document);
  const target = keys.reduce<JsonValue>((inner, key) => (inner as JsonObjectValue)[key] as JsonValue, copy);
  if (value === undefined) Reflect.deleteProperty(target as JsonObjectValue, last);
  else Reflect.set(target as JsonObjectValue, last, value);
  return copy;
}

/** Place of a change, its new value (undefined: removed), and how the document is then refused. */
export type Refusal = readonly [path: string, value: JsonValue | undefined, message: string];

/** One test for each change that makes a document unreadable. */
export function testRefusals(document: JsonValue, refusals: readonly Refusal[]): void {
  for (const [path, value, message] of refusals) {
    Deno.test(`readState() refuses a document with ${path} ${JSON.stringify(value) ?? "missing"}`, () => {
      assert.throws(() => readState(bytesOf(edited(document, path, value))), {
        name: "RestartStateError",
        message,
        path: message.slice(0, message.indexOf(":")),
      });
    });
  }
}

/** The state in a document, which must not be stale. */
export function stateOf(document: Uint8Array | JsonValue): RestartState {
  const outcome = readState(document instanceof Uint8Array ? document : bytesOf(document));
  assert.equal(outcome.kind, "state");
  return (outcome as { kind: "state"; state: RestartState }).state;
}

function keysOf(path: string): string[] {
  return path.replaceAll("]", "").split(/[.[]/);
}

/** A state with something of everything. */
export function fullState(): RestartState {
  const first = { pid: 1722, name: "f18", uuid: "97586ba9-df27-9459-c806-f016c8bbd224", id: 6 };
  const second = {
    pid: 1784,
    name: "gast \u00fc\udcff",
    uuid: "7b8e5e42-b875-61e9-b981-91ad8fa46979",
    id: 7,
  };
  const peer = { pid: 1722, uid: 0, gid: 0 };
  const none = new Uint8Array(0);
  return {
    pid: 4242,
    servers: {
      admin: {
        maxClients: 5000,
        maxAnonymousClients: 5000,
        nextClientId: 2,
        listeners: [{ fd: 7, unlinkPath: true }],
        clients: [{
          id: 1,
          fd: 17,
          connectedAt: 1795230578000,
          restricted: false,
          extension: { unserved: { bytes: none, dropped: 0 }, unsent: Uint8Array.of(255), peer, pidfd: -1 },
        }],
      },
      virtlockd: {
        maxClients: 1024,
        maxAnonymousClients: 20,
        nextClientId: 9,
        listeners: [{ fd: 6, unlinkPath: false }],
        clients: [
          {
            id: 1,
            fd: 5,
            connectedAt: 1795230578000,
            owner: first,
            restricted: true,
            extension: {
              unserved: { bytes: none, dropped: 0 },
              unsent: none,
              peer,
              pidfd: 30,
              trailLost: true,
            },
          },
          {
            id: 8,
            fd: 15,
            connectedAt: 0,
            restricted: false,
            extension: {
              unserved: { bytes: Uint8Array.of(0, 0, 0, 28, 14), dropped: 3 },
              unsent: none,
              peer: { pid: 0, uid: 65534, gid: 65534 },
              pidfd: -1,
            },
          },
        ],
      },
    },
    lockspaces: [
      {
        path: "",
        resources: [
          {
            record: {
              id: 3,
              lockspace: "",
              name: "/images/shared.img",
              path: "/images/shared.img",
              shared: true,
              autocreate: false,
              holdings: [
                { owner: first, since: 1795230578001 },
                { owner: second, since: 0 },
                { owner: first, since: 1795230578003 },
              ],
              state: { kind: "held" },
            },
            handle: { kind: "file", fd: 13, lock: "posix" },
          },
          {
            record: {
              id: 4,
              lockspace: "",
              name: "/images/\udce9t\udce9",
              path: "/images/\udce9t\udce9",
              shared: false,
              autocreate: false,
              holdings: [{ owner: first, since: 1795230578004 }],
              state: { kind: "doubtful", reason: "Unable to release lock" },
            },
            handle: { kind: "file", fd: 12, lock: "ofd" },
          },
        ],
      },
      {
        path: "/var/lib/libvirt/lockd/files",
        resources: [{
          record: {
            id: 17,
            lockspace: "/var/lib/libvirt/lockd/files",
            name: 'a"\\\n\u0001',
            path: '/var/lib/libvirt/lockd/files/a"\\\n\u0001',
            shared: true,
            autocreate: true,
            holdings: [{ owner: { ...second, pid: 0 }, since: 5 }],
            state: { kind: "held" },
          },
          handle: { kind: "file", fd: 14, lock: "ofd" },
        }],
      },
      { path: "/empty", resources: [] },
    ],
    nextResourceId: 18,
    extension: {
      dying: [{ key: 1900, pid: 1900, pidfd: 31, since: 1795230579000, killed: true }],
      watched: [
        { key: 2411, pid: 2411, start: 900, pidfd: 35 },
        { key: "4026532500/1", pid: 30838, start: 901, pidfd: 36 },
      ],
      released: [
        {
          lockspace: "",
          name: "/disk",
          path: "/disk",
          owner: { ...second, pid: 12 },
          use: { owner: { ...second, pid: 13 }, since: 6 },
        },
      ],
      fencing: {
        cluster: "prod",
        hosts: [{ session: "s1", name: "kvm7", since: 7, reason: "web asks", failures: 2, asked: 9 }],
      },
      parked: [32, 33],
      kept: [{ purpose: "journal", fd: 34 }],
      settings: { logOutputs: "1:stderr", logFilters: "1:rpc", timeout: 30 },
      cwd: "/root",
      statistics: { requests: [1, 2], started: 1.5 },
      tries: [{ value: "v", changed: [{ key: "m", before: "b", after: "a" }] }],
      journal: null,
      notify: { status: "serving" },
    },
  };
}
