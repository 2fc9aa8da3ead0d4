import assert from "node:assert/strict";
import { readState } from "../../../../src/lockd/restart/read_state.ts";
import { descriptorsOf, type JsonValue, type RestartState } from "../../../../src/lockd/restart/state.ts";
import type { HandedLock, LockRecord } from "../../../../src/lockd/lockspace/lock_record.ts";
import { writeState } from "../../../../src/lockd/restart/write_state.ts";
import { at, example, exampleBytes, fullState, stateOf } from "./documents.ts";

function textOf(state: RestartState): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(writeState(state));
}

Deno.test("writeState() writes libvirt's own document again, in its order, when nothing of ours is in the state", () => {
  assert.equal(textOf(stateOf(exampleBytes())), `${JSON.stringify(example())}\n`);
});

Deno.test("writeState() loses nothing that readState() gives back", () => {
  assert.deepEqual(readState(writeState(fullState()), 4242), { kind: "state", state: fullState() });
});

Deno.test("writeState() writes our part behind libvirt's", () => {
  const { servers, lockspaces, extension, ...state } = fullState();
  const admin = { maxClients: 5, maxAnonymousClients: 5, nextClientId: 1, listeners: [], clients: [] };
  const text = textOf({
    ...state,
    servers: { virtlockd: { ...servers.virtlockd, clients: servers.virtlockd.clients.slice(1) }, admin },
    lockspaces: lockspaces.slice(1, 2),
    ...(extension === undefined ? {} : { extension }),
  });
  assert.equal(
    text,
    '{"daemon":{"servers":{"admin":{"min_workers":0,"max_workers":0,"priority_workers":0,"max_clients":5,' +
      '"max_anonymous_clients":5,"keepaliveInterval":4294967295,"keepaliveCount":0,"next_client_id":1,' +
      '"services":[],"clients":[]},"virtlockd":{"min_workers":0,"max_workers":0,"priority_workers":0,' +
      '"max_clients":1024,"max_anonymous_clients":20,"keepaliveInterval":4294967295,"keepaliveCount":0,' +
      '"next_client_id":9,"services":[{"auth":0,"readonly":false,"nrequests_client_max":1,"socks":[{"fd":6,' +
      '"errfd":-1,"pid":0,"isClient":false,"unlinkUNIX":false}]}],"clients":[{"id":8,"auth":0,' +
      '"auth_pending":false,"readonly":false,"nrequests_max":1,"conn_time":0,"sock":{"fd":15,"errfd":-1,' +
      '"pid":0,"isClient":true,"unlinkUNIX":false},"privateData":{"restricted":false,"ownerPid":0,' +
      '"ownerId":0,"ownerName":"","ownerUUID":"00000000-0000-0000-0000-000000000000"},"denoVirtlockd":' +
      '{"peer":{"pid":0,"uid":65534,"gid":65534},"unserved":"AAAAHA4=","dropped":3}}]}}},' +
      '"defaultLockspace":{"resources":[]},"lockspaces":[{"directory":"/var/lib/libvirt/lockd/files",' +
      '"resources":[{"name":"a\\"\\\\\\n\\u0001","path":"/var/lib/libvirt/lockd/files/a\\"\\\\\\n\\u0001",' +
      '"fd":14,"lockHeld":true,"flags":3,"owners":[0],"denoVirtlockd":{"id":17,"lock":"ofd","owners":[0],' +
      '"since":[5]}}]}],"magic":"4242","denoVirtlockd":{"version":1,"nextResourceId":18,"owners":[{"pid":0,' +
      '"name":"gast \u00fc\\udcff","uuid":"7b8e5e42-b875-61e9-b981-91ad8fa46979","id":7}],' +
      '"dying":[{"key":1900,"pid":1900,"pidfd":31,"since":1795230579000,"killed":true}],' +
      '"watched":[{"key":2411,"pid":2411,"start":900,"pidfd":35},' +
      '{"key":"4026532500/1","pid":30838,"start":901,"pidfd":36}],' +
      '"released":[{"lockspace":"","name":"/disk","path":"/disk",' +
      '"owner":{"pid":12,"name":"gast ü\\udcff","uuid":"7b8e5e42-b875-61e9-b981-91ad8fa46979","id":7},' +
      '"use":{"owner":{"pid":13,"name":"gast ü\\udcff","uuid":"7b8e5e42-b875-61e9-b981-91ad8fa46979","id":7},' +
      '"since":6}}],"fencing":{"cluster":"prod","hosts":[{"session":"s1","name":"kvm7","since":7,' +
      '"reason":"web asks","failures":2,"asked":9}]},"parked":[32,33],' +
      '"kept":[{"purpose":"journal","fd":34}],"settings":{"logOutputs":"1:stderr","logFilters":"1:rpc",' +
      '"timeout":30},"cwd":"/root","statistics":{"requests":[1,2],"started":1.5},' +
      '"tries":[{"value":"v","changed":[{"key":"m","before":"b","after":"a"}]}],"journal":null,' +
      '"notify":{"status":"serving"}}}\n',
  );
});

Deno.test("writeState() writes nothing of ours without an extension, for libvirt's daemon alone", () => {
  const { extension: _extension, ...state } = fullState();
  const text = textOf(state);
  assert.equal(text.includes("denoVirtlockd"), false);
  const read = stateOf(new TextEncoder().encode(text));
  assert.deepEqual(descriptorsOf(read), [6, 5, 15, 7, 17, 13, 12, 14]);
  assert.equal(read.extension, undefined);
});

Deno.test("writeState() writes connection times in whole seconds", () => {
  const { virtlockd } = fullState().servers;
  const clients = virtlockd.clients.map((client) => ({ ...client, connectedAt: 1795230578999 }));
  const text = textOf({ ...fullState(), servers: { virtlockd: { ...virtlockd, clients } } });
  assert.deepEqual(text.match(/"conn_time":\d+/g), ['"conn_time":1795230578', '"conn_time":1795230578']);
});

Deno.test("writeState() never lets more clients wait for authentication than may be connected", () => {
  const state = stateOf(exampleBytes());
  const { virtlockd } = state.servers;
  const text = textOf({
    ...state,
    servers: { virtlockd: { ...virtlockd, maxClients: 7, maxAnonymousClients: 8 } },
  });
  assert.match(text, /"max_clients":7,"max_anonymous_clients":7,/);
});

Deno.test("writeState() writes a lost lock so that a version that knows none takes it for doubtful", () => {
  const { extension, nextResourceId } = fullState();
  const [lost, gone] = [13, 12].map((fd, index): HandedLock => ({
    record: { ...record(index + 1), state: { kind: "lost", reason: "somebody else has it" } },
    handle: index === 0 ? { kind: "file", fd, lock: "ofd" } : { kind: "none", place: fd },
  }));
  const awaited: HandedLock = {
    record: { ...record(3), state: { kind: "awaited", reason: "not yet" } },
    handle: { kind: "none", place: 14 },
  };
  assert.ok(lost !== undefined && gone !== undefined && extension !== undefined);
  const lockspaces = [{ path: "", resources: [lost, gone, awaited] }];
  const state = { ...fullState(), lockspaces, extension, nextResourceId };
  assert.deepEqual(stateOf(writeState(state)).lockspaces, lockspaces);
  const document: JsonValue = JSON.parse(textOf(state));
  const own = [0, 1, 2].map((index) => at(document, `defaultLockspace.resources[${index}].denoVirtlockd`));
  const known = { lock: "ofd", owners: [0], since: [5] };
  assert.deepEqual(own, [
    { id: 1, ...known, doubtful: "somebody else has it", lost: "file" },
    { id: 2, ...known, doubtful: "somebody else has it", lost: "none" },
    { id: 3, ...known, awaited: "not yet" },
  ]);
});

Deno.test("writeState() writes a parked lock so that a version that knows none gives it to its owner again", () => {
  const { extension, nextResourceId } = fullState();
  assert.ok(extension !== undefined);
  const resources = (["parked", "leaving"] as const).map((regrant, index): HandedLock => ({
    record: { ...record(index + 1), regrant },
    handle: { kind: "file", fd: 12 + index, lock: "ofd" },
  }));
  const state = { ...fullState(), lockspaces: [{ path: "", resources }], extension, nextResourceId };
  assert.deepEqual(stateOf(writeState(state)).lockspaces, state.lockspaces);
  const document: JsonValue = JSON.parse(textOf(state));
  const own = [0, 1].map((index) => at(document, `defaultLockspace.resources[${index}].denoVirtlockd`));
  const known = { lock: "ofd", owners: [0], since: [5] };
  assert.deepEqual(own, [
    { id: 1, ...known, regrant: "half-failed", parked: true },
    { id: 2, ...known, regrant: "leaving" },
  ]);
});

/** A lock of the default lockspace. */
function record(id: number): LockRecord {
  return {
    id,
    lockspace: "",
    name: `/disk${id}`,
    path: `/disk${id}`,
    shared: false,
    autocreate: false,
    holdings: [{
      owner: { pid: 7, name: "a", uuid: "97586ba9-df27-9459-c806-f016c8bbd224", id: 6 },
      since: 5,
    }],
    state: { kind: "held" },
  };
}

Deno.test("writeState() writes every owner once, however often it holds", () => {
  const document: JsonValue = JSON.parse(textOf(fullState()));
  assert.deepEqual(at(document, "denoVirtlockd.owners"), [
    { pid: 1722, name: "f18", uuid: "97586ba9-df27-9459-c806-f016c8bbd224", id: 6 },
    { pid: 1784, name: "gast \u00fc\udcff", uuid: "7b8e5e42-b875-61e9-b981-91ad8fa46979", id: 7 },
    { pid: 0, name: "gast \u00fc\udcff", uuid: "7b8e5e42-b875-61e9-b981-91ad8fa46979", id: 7 },
  ]);
  assert.deepEqual(at(document, "defaultLockspace.resources[0].denoVirtlockd.owners"), [0, 1, 0]);
});

Deno.test("writeState() tells owners of one pid apart when they registered differently", () => {
  const state = fullState();
  const [space] = state.lockspaces;
  const [resource] = space?.resources ?? [];
  assert.ok(resource !== undefined);
  const first = resource.record.holdings[0]?.owner;
  assert.ok(first !== undefined);
  const holdings = [
    { owner: first, since: 1 },
    { owner: { ...first, name: "renamed" }, since: 2 },
    { owner: { ...first, id: 99 }, since: 3 },
    { owner: { ...first }, since: 4 },
  ];
  const changed = {
    ...state,
    lockspaces: [{ path: "", resources: [{ ...resource, record: { ...resource.record, holdings } }] }],
  };
  assert.deepEqual(readState(writeState(changed)), { kind: "state", state: changed });
  const document: JsonValue = JSON.parse(textOf(changed));
  assert.deepEqual(at(document, "defaultLockspace.resources[0].denoVirtlockd.owners"), [0, 1, 2, 0]);
});

Deno.test("writeState() refuses a lock of unknown kind in a state of ours", () => {
  const { lockspaces, ...state } = fullState();
  const handle = { kind: "file", fd: 13, lock: "unasked" } as const;
  const resources = lockspaces[0]?.resources.map(({ record }) => ({ record, handle })) ?? [];
  assert.throws(() => writeState({ ...state, lockspaces: [{ path: "", resources }] }), {
    message: "Write resource /images/shared.img: how its lock is held is not known, wanted ofd or posix",
  });
});

Deno.test("writeState() and readState() handle 4,096 clients with 40,000 locks and 32 MiB of input", () => {
  const owner = (index: number) => ({
    pid: 100000 + index,
    name: `guest-${index}`,
    uuid: `97586ba9-df27-9459-c806-${index.toString(16).padStart(12, "0")}`,
    id: index + 1,
  });
  const owners = Array.from({ length: 4096 }, (_, index) => owner(index));
  const input = new Uint8Array(33554436).fill(0xa5);
  const state: RestartState = {
    ...fullState(),
    servers: {
      virtlockd: {
        maxClients: 5000,
        maxAnonymousClients: 5000,
        nextClientId: 4097,
        listeners: [{ fd: 3, unlinkPath: true }],
        clients: owners.map((client, index) => ({
          id: index + 1,
          fd: 100000 + index,
          connectedAt: 1795230578000,
          owner: client,
          restricted: true,
          extension: {
            unserved: { bytes: index === 4095 ? input : new Uint8Array(0), dropped: 0 },
            unsent: new Uint8Array(0),
            peer: { pid: client.pid, uid: 0, gid: 0 },
            pidfd: 110000 + index,
          },
        })),
      },
    },
    lockspaces: [{
      path: "",
      resources: Array.from({ length: 40000 }, (_, index): HandedLock => ({
        record: {
          id: index + 1,
          lockspace: "",
          name: `/var/lib/libvirt/images/guest-${index % 4096}/disk-${index}-\u00e9\udcff.qcow2`,
          path: `/var/lib/libvirt/images/guest-${index % 4096}/disk-${index}-\u00e9\udcff.qcow2`,
          shared: index % 3 === 0,
          autocreate: index % 2 === 0,
          holdings: [{ owner: owners[index % 4096] ?? owner(0), since: 1795230578000 + index }],
          state: { kind: "held" },
        },
        handle: { kind: "file", fd: 200000 + index, lock: "ofd" },
      })),
    }],
    nextResourceId: 40001,
  };
  const bytes = writeState(state);
  assert.ok(bytes.length > 50_000_000);
  const read = stateOf(bytes);
  assert.deepEqual(read.servers.virtlockd.clients.slice(0, 2), state.servers.virtlockd.clients.slice(0, 2));
  assert.equal(read.servers.virtlockd.clients.length, 4096);
  const carried = read.servers.virtlockd.clients[4095]?.extension?.unserved.bytes;
  assert.equal(carried?.length, 33554436);
  assert.ok(carried.every((byte) => byte === 0xa5));
  assert.deepEqual(read.lockspaces, state.lockspaces);
});
