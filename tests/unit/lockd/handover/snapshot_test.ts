import assert from "node:assert/strict";
import { snapshot } from "../../../../src/lockd/handover/snapshot.ts";
import { LOCK_PROGRAM } from "../../../../src/lockd/wire/lock_protocol.ts";
import { LockSession } from "../../../../src/lockd/programs/lock_program.ts";
import type { DaemonExtension } from "../../../../src/lockd/restart/state.ts";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { closeParts, daemonParts } from "../../../support/daemon_parts.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const OWNER = { pid: 5_000_001, name: "web", uuid: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", id: 3 };
const EXTENSION: DaemonExtension = {
  dying: [],
  parked: [],
  kept: [],
  settings: {},
  cwd: "/",
  statistics: null,
  journal: null,
  notify: null,
};
const EMPTY = { maxClients: 1024, maxAnonymousClients: 1024, nextClientId: 1, listeners: [], clients: [] };

Deno.test("snapshot() of a daemon with nothing in it has its two servers and the default lockspace", () => {
  const daemon = daemonParts();
  assert.deepEqual(snapshot(daemon, { pid: 77, extension: undefined }), {
    pid: 77,
    servers: {
      virtlockd: EMPTY,
      admin: { ...EMPTY, maxClients: 5000, maxAnonymousClients: 5000 },
    },
    lockspaces: [{ path: "", resources: [] }],
    nextResourceId: 1,
  });
  closeParts(daemon);
});

Deno.test("snapshot() has each lock with what it is held by, and changes nothing", () => {
  using scratch = new Scratch();
  const daemon = daemonParts();
  const path = scratch.write("disk");
  daemon.table.acquire("", path, { shared: false, autocreate: false }, OWNER, () => {});
  const [first, second] = [1, 2].map(() => snapshot(daemon, { pid: 77, extension: EXTENSION }));
  assert.deepEqual(first, second);
  assert.deepEqual([first?.extension, first?.nextResourceId], [EXTENSION, 2]);
  const [lock] = first?.lockspaces[0]?.resources ?? [];
  const [resource] = [...daemon.table.resources()];
  assert.deepEqual(lock?.handle, resource?.handle);
  const { id, name, holdings, state } = lock?.record ?? assert.fail("no lock");
  assert.deepEqual([id, name, holdings[0]?.owner, state], [1, path, OWNER, { kind: "held" }]);
  assert.equal(daemon.table.resourceCount, 1);
  closeParts(daemon);
});

/** A daemon with a client that has sent half a message, and the client's end. */
function withClient() {
  const daemon = daemonParts();
  const ends = kernel.socketPair(SOCK_STREAM);
  assert.ok(typeof ends !== "number");
  const [near, far] = ends;
  const connection = daemon.lockServer.adopt({
    fd: near,
    id: 12,
    connectedAt: 1_700_000_000_000,
    pidfd: -1,
    unserved: { bytes: new Uint8Array([0, 0, 0]), dropped: 0 },
    unsent: new Uint8Array([9]),
  });
  const session = connection.session(LOCK_PROGRAM);
  assert.ok(session instanceof LockSession);
  session.restricted = true;
  return { daemon, far, near, pidfd: connection.peer.pidfd };
}

Deno.test("snapshot() tells the next image of ours what a client has sent and not got", () => {
  const { daemon, near, far, pidfd } = withClient();
  const { servers } = snapshot(daemon, { pid: 77, extension: EXTENSION });
  assert.deepEqual(servers.virtlockd.clients, [{
    id: 12,
    fd: near,
    connectedAt: 1_700_000_000_000,
    restricted: true,
    extension: {
      unserved: { bytes: new Uint8Array([0, 0, 0]), dropped: 0 },
      unsent: new Uint8Array([9]),
      // The kernel says who has made the socket: this process.
      peer: { pid: Deno.pid, uid: kernel.uid(), gid: Deno.gid() },
      pidfd,
    },
  }]);
  closeParts(daemon);
  kernel.close(far);
});

Deno.test("snapshot() for libvirt's daemon has only what that knows", () => {
  const { daemon, near, far } = withClient();
  const state = snapshot(daemon, { pid: 77, extension: undefined });
  assert.deepEqual(state.servers.virtlockd.clients, [
    { id: 12, fd: near, connectedAt: 1_700_000_000_000, restricted: true },
  ]);
  assert.equal("extension" in state, false);
  closeParts(daemon);
  kernel.close(far);
});
