import assert from "node:assert/strict";
import type { Recovered } from "../../../../src/lockd/journal/recovered.ts";
import {
  NOTHING_CARRIED,
  readCarried,
  recoveredState,
  withoutLineage,
} from "../../../../src/lockd/restart/recovered_state.ts";
import { journaled } from "../journal/journal_fixture.ts";

const LIMITS = [{ maxClients: 1024, maxAnonymousClients: 1024 }, { maxClients: 5, maxAnonymousClients: 5 }];
const FACTS = { pid: 77, cwd: "/", limits: LIMITS };
const NOTHING: Recovered = {
  lockspaces: [],
  locks: [],
  clients: [],
  dying: [],
  watched: [],
  parked: [],
  gone: [],
  unwanted: [],
  slots: [],
  nextResource: 3,
  nextClient: [8, 9],
  findings: [],
};

function client(key: number, fd: number): Recovered["clients"][number] {
  return {
    record: { key, pid: 7, uid: 1, gid: 2, since: 5, owner: undefined, restricted: false },
    fd,
    pidfd: 30,
    input: { bytes: new Uint8Array([1]), dropped: 2 },
    output: new Uint8Array([3]),
  };
}

Deno.test("recoveredState() gives each server its clients, oldest first, and the next id", () => {
  const { servers } = recoveredState(
    { ...NOTHING, clients: [client(6, 11), client(5, 12), client(2, 13)] },
    NOTHING_CARRIED,
    FACTS,
  );
  assert.deepEqual(servers.virtlockd.clients.map(({ id, fd }) => [id, fd]), [[1, 13], [3, 11]]);
  assert.deepEqual(servers.admin?.clients.map(({ id, fd }) => [id, fd]), [[2, 12]]);
  assert.deepEqual([servers.virtlockd.nextClientId, servers.admin?.nextClientId], [8, 9]);
});

Deno.test("recoveredState() hands over what a client had under way", () => {
  const { servers } = recoveredState({ ...NOTHING, clients: [client(2, 13)] }, NOTHING_CARRIED, FACTS);
  assert.deepEqual(servers.virtlockd.clients[0], {
    id: 1,
    fd: 13,
    connectedAt: 5,
    restricted: false,
    extension: {
      unserved: { bytes: new Uint8Array([1]), dropped: 2 },
      unsent: new Uint8Array([3]),
      peer: { pid: 7, uid: 1, gid: 2 },
      pidfd: 30,
      // What it was granted over this connection no journal tells.
      trailLost: true,
    },
  });
});

Deno.test("recoveredState() sorts locks by lockspace, the default one first", () => {
  const { record } = journaled(1);
  const handle = { kind: "file", fd: 11, lock: "ofd" } as const;
  const doubtful = { kind: "doubtful", reason: "why" } as const;
  const image = { ...record, id: 2, lockspace: "", state: doubtful, regrant: "half-failed" } as const;
  const { lockspaces } = recoveredState(
    {
      ...NOTHING,
      lockspaces: ["/empty", "/leases"],
      locks: [{ record, handle }, { record: image, handle }],
    },
    NOTHING_CARRIED,
    FACTS,
  );
  assert.deepEqual(
    lockspaces.map(({ path, resources }) => [path, resources.map(({ record }) => record.id)]),
    [
      ["", [2]],
      ["/empty", []],
      ["/leases", [1]],
    ],
  );
  assert.deepEqual(lockspaces[0]?.resources[0], { record: image, handle });
});

Deno.test("readCarried() takes what this program writes, and nothing else", () => {
  const limits = [{ maxClients: 7, maxAnonymousClients: 6 }, { maxClients: 5, maxAnonymousClients: 4 }];
  const settings = { logOutputs: "1:stderr", logFilters: "1:rpc", timeout: 30 };
  assert.deepEqual(readCarried({ limits, settings, statistics: { locks: 1 } }), {
    limits,
    settings,
    statistics: { locks: 1 },
  });
  const known = { limits: [], settings: {}, statistics: null, lineage: "l1" };
  assert.deepEqual(readCarried(known), known);
  for (const value of [undefined, null, 7, "x", [], {}, { limits: [], settings: {}, lineage: 7 }]) {
    assert.deepEqual(readCarried(value), { limits: [], settings: {}, statistics: null });
  }
  assert.deepEqual(readCarried({ limits: [{ maxClients: "7" }], settings: null }).limits, []);
  assert.deepEqual(readCarried({ limits: [null], settings: { timeout: "30", logFilters: 1 } }), {
    limits: [],
    settings: {},
    statistics: null,
  });
  // What a later version adds is not this one's to pass on.
  assert.deepEqual(readCarried({ limits: [{ ...limits[0], maxMore: 1 }], settings: { more: 1 } }), {
    limits: [limits[0]],
    settings: {},
    statistics: null,
  });
});

Deno.test("tries that were granted to nobody are proof only with a lineage, and as they were written", () => {
  const tries = [{ value: "v", changed: [{ key: "m", before: "b", after: "a" }] }];
  const whole = { ...NOTHING_CARRIED, lineage: "l1", tries };
  assert.deepEqual(readCarried(whole), whole);
  assert.equal(readCarried({ tries }).tries, undefined);
  assert.deepEqual(withoutLineage(whole), NOTHING_CARRIED);
  for (
    const wrong of [[], 7, [null], [{ value: "v" }], [{ value: "v", changed: [{ key: "m", before: "b" }] }]]
  ) {
    assert.equal(readCarried({ lineage: "l1", tries: wrong }).tries, undefined);
  }
  assert.deepEqual(recoveredState(NOTHING, whole, FACTS).extension?.tries, tries);
  assert.equal(recoveredState(NOTHING, NOTHING_CARRIED, FACTS).extension?.tries, undefined);
});

Deno.test("recoveredState() takes limits and settings that were carried, else those of the configuration", () => {
  const carried = {
    limits: [{ maxClients: 7, maxAnonymousClients: 6 }],
    settings: { timeout: 9 },
    statistics: { a: 1 },
  };
  const { servers, extension } = recoveredState(NOTHING, { ...carried, lineage: "l1" }, FACTS);
  assert.equal(extension?.lineage, "l1");
  assert.equal(recoveredState(NOTHING, carried, FACTS).extension?.lineage, undefined);
  assert.deepEqual([servers.virtlockd.maxClients, servers.admin?.maxClients], [7, 5]);
  assert.deepEqual([extension?.settings, extension?.statistics], [{ timeout: 9 }, { a: 1 }]);
  assert.equal(recoveredState(NOTHING, NOTHING_CARRIED, FACTS).servers.virtlockd.maxClients, 1024);
});
