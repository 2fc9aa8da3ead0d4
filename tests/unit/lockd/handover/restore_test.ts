import assert from "node:assert/strict";
import { restore } from "../../../../src/lockd/handover/restore.ts";
import { snapshot } from "../../../../src/lockd/handover/snapshot.ts";
import type { HandedLock, LockRecord } from "../../../../src/lockd/lockspace/lock_record.ts";
import type { RestartState } from "../../../../src/lockd/restart/state.ts";
import { F_WRLCK, O_RDWR } from "../../../../src/os/constants.ts";
import { closeParts, daemonParts } from "../../../support/daemon_parts.ts";
import { kernel, lockOn } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const OWNER = { pid: 5_000_001, name: "web", uuid: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", id: 3 };

function record(id: number, path: string): LockRecord {
  return {
    id,
    lockspace: "",
    name: path,
    path,
    shared: false,
    autocreate: false,
    holdings: [{ owner: OWNER, since: 1_700_000_000_000 }],
    state: { kind: "held" },
  };
}

/** A state of libvirt's or of ours with these locks. */
function stateOf(resources: HandedLock[]): RestartState {
  const server = {
    maxClients: 7,
    maxAnonymousClients: 7,
    nextClientId: 12,
    listeners: [],
    clients: [],
  };
  return {
    pid: kernel.pid(),
    servers: { virtlockd: server, admin: { ...server, maxClients: 5 } },
    lockspaces: [{ path: "", resources }],
    nextResourceId: 9,
  };
}

Deno.test("restore() puts limits, ids and locks into the parts, and snapshot() takes them out again", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const path = scratch.write("disk");
  const fd = kernel.open(path, O_RDWR, 0);
  assert.equal(kernel.ofdLock(fd, F_WRLCK, 0, 1), 0);
  const daemon = daemonParts();
  const state = stateOf([{ record: record(4, path), handle: { kind: "file", fd, lock: "ofd" } }]);
  restore(daemon, state);
  assert.deepEqual([daemon.lockServer.limits.maxClients, daemon.adminServer.limits.maxClients], [7, 5]);
  assert.deepEqual([daemon.lockServer.nextClientId, daemon.table.nextId], [12, 9]);
  const taken = snapshot(daemon, { pid: kernel.pid(), extension: undefined });
  const [lock] = taken.lockspaces[0]?.resources ?? [];
  assert.deepEqual(lock?.record.holdings, [{ owner: OWNER, since: 1_700_000_000_000 }]);
  assert.deepEqual([lock?.record.id, lock?.record.path, lock?.record.state], [4, path, { kind: "held" }]);
  assert.deepEqual([lock?.handle.kind, taken.nextResourceId], ["file", 9]);
  assert.deepEqual(lockOn(path), { mode: "exclusive", pid: -1 });
  assert.equal([...daemon.ledger.entries()].find(([owned]) => owned === fd)?.[1], "lock");
  closeParts(daemon);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("restore() takes a lock again that its descriptor turns out not to have", () => {
  using scratch = new Scratch();
  const path = scratch.write("disk");
  const fd = kernel.open(path, O_RDWR, 0);
  const daemon = daemonParts();
  restore(daemon, stateOf([{ record: record(1, path), handle: { kind: "file", fd, lock: "unasked" } }]));
  const [resource] = daemon.table.resources();
  assert.deepEqual([resource?.state, lockOn(path)], [{ kind: "held" }, { mode: "exclusive", pid: -1 }]);
  closeParts(daemon);
});

Deno.test("restore() keeps a lock that somebody else has by now, and says that it is in doubt", () => {
  using scratch = new Scratch();
  const path = scratch.write("disk");
  const fd = kernel.open(path, O_RDWR, 0);
  const other = kernel.open(path, O_RDWR, 0);
  assert.equal(kernel.ofdLock(other, F_WRLCK, 0, 1), 0);
  const daemon = daemonParts();
  restore(daemon, stateOf([{ record: record(1, path), handle: { kind: "file", fd, lock: "unasked" } }]));
  const [resource] = daemon.table.resources();
  assert.deepEqual(resource?.state, {
    kind: "doubtful",
    reason: "its kernel lock was missing and could not be taken: Resource temporarily unavailable",
  });
  closeParts(daemon);
  kernel.close(other);
});

Deno.test("restore() refuses a state whose descriptor is no open file", () => {
  using scratch = new Scratch();
  const path = scratch.write("disk");
  const daemon = daemonParts();
  const lost: HandedLock = { record: record(1, path), handle: { kind: "file", fd: 1_000_000, lock: "ofd" } };
  assert.throws(() => restore(daemon, stateOf([lost])), { name: "RestartStateError" });
  assert.equal(daemon.table.resourceCount, 0);
  closeParts(daemon);
});
