import type { JsonObjectValue, JsonValue, RestartState } from "../../../src/restart/state.ts";

const EXAMPLE = new URL("../../fixtures/restart_state_libvirt_9.json", import.meta.url);

/** Magic of {@link exampleBytes}. */
export const EXAMPLE_PID = 24044;

/** A document captured from a live libvirt 9.0.0 daemon: two guests, two lockspaces, a shared disk, one admin client. */
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
            extension: { unserved: { bytes: none, dropped: 0 }, unsent: none, peer, pidfd: 30 },
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
            id: 3,
            name: "/images/shared.img",
            path: "/images/shared.img",
            fd: 13,
            shared: true,
            autocreate: false,
            lock: "posix",
            holdings: [
              { owner: first, since: 1795230578001 },
              { owner: second, since: 0 },
              { owner: first, since: 1795230578003 },
            ],
          },
          {
            id: 4,
            name: "/images/\udce9t\udce9",
            path: "/images/\udce9t\udce9",
            fd: 12,
            shared: false,
            autocreate: false,
            lock: "ofd",
            holdings: [{ owner: first, since: 1795230578004 }],
            doubtful: "Unable to release lock",
          },
        ],
      },
      {
        path: "/var/lib/libvirt/lockd/files",
        resources: [{
          id: 17,
          name: 'a"\\\n\u0001',
          path: '/var/lib/libvirt/lockd/files/a"\\\n\u0001',
          fd: 14,
          shared: true,
          autocreate: true,
          lock: "ofd",
          holdings: [{ owner: { ...second, pid: 0 }, since: 5 }],
        }],
      },
      { path: "/empty", resources: [] },
    ],
    nextResourceId: 18,
    extension: {
      dying: [{ pid: 1900, pidfd: 31, since: 1795230579000, killed: true }],
      parked: [32, 33],
      kept: [{ purpose: "journal", fd: 34 }],
      settings: { logOutputs: "1:stderr", logFilters: "1:rpc", timeout: 30 },
      cwd: "/root",
      statistics: { requests: [1, 2], started: 1.5 },
      journal: null,
      notify: { status: "serving" },
    },
  };
}
