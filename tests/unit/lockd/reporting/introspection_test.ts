import assert from "node:assert/strict";
import { Introspection, type IntrospectionParts } from "../../../../src/lockd/reporting/introspection.ts";
import type { Mount } from "../../../../src/lockd/storage/mount_tree.ts";
import { Metrics } from "../../../../src/lockd/reporting/metrics.ts";
import { holding, resource, tableOf } from "../programs/lock_fixture.ts";

function mountAt(point: string): Mount {
  return { id: 1, parent: 0, device: 1, point, root: "/", type: "nfs4", source: "server:/export" };
}

function introspection(parts: Partial<IntrospectionParts> = {}): Introspection {
  return new Introspection({
    sys: {
      pid: () => 77,
      stat: (path, into) => {
        into.size = path === "/proc/self/fd" ? 31 : -1;
        return 0;
      },
      fileLimit: () => [1024, 4096],
      monotonic: () => 9000,
    },
    version: "1.2.3",
    configurationFile: "/etc/x.conf",
    ledger: { size: 12 },
    table: tableOf([resource({ id: 1 }), resource({ id: 2, shared: true, holdings: [holding(43)] })]),
    reaper: { dying: [{ key: 43, pid: 43, pidfd: 9, since: 0, killed: false }] },
    settler: { size: 3 },
    servers: () => [{
      name: "virtlockd",
      clients: new Map(),
      limits: { maxClients: 1024, maxAnonymousClients: 20 },
    }],
    logs: { level: 2, filtersText: () => "1:*a* ", outputsText: () => "3:stderr" },
    metrics: new Metrics(1000),
    idleTimeout: () => 30,
    storage: () => [
      { mount: undefined, state: "idle", waiting: 0, since: undefined },
      { mount: mountAt("/net"), state: "hung", waiting: 3, since: 7000 },
      { mount: mountAt("/far"), state: "idle", waiting: 0, since: undefined },
    ],
    sections: () => ({ storage: { "/mnt": "answers" }, store: { present: false } }),
    now: () => 62_999,
    ...parts,
  });
}

Deno.test("Introspection status() tells how the daemon is doing", () => {
  assert.deepEqual(introspection().status(), {
    version: "1.2.3",
    pid: 77,
    configurationFile: "/etc/x.conf",
    startedMs: 1000,
    countingSinceMs: 1000,
    started: 1000,
    uptimeSeconds: 61,
    uptime: 61,
    reExecs: 0,
    reExecFailures: 0,
    crashes: 0,
    restarts: 0,
    recoveredLocks: 0,
    lostLocks: 0,
    servers: [{ name: "virtlockd", clients: 0, clientsMax: 1024 }],
    locks: {
      exclusive: 1,
      shared: 1,
      lockspaces: 2,
      holders: 2,
      dying: 1,
      settling: 3,
      doubtful: 0,
      lost: 0,
      posix: 0,
    },
    lockspaces: [{ path: "/ls", origin: "registered" }],
    descriptors: { open: 31, limit: 1024 },
    idleTimeoutSeconds: 30,
    idleTimeout: 30,
    storage: [
      { mount: "/net", state: "hung", waiting: 3, busyMs: 2000 },
      { mount: "/far", state: "idle", waiting: 0 },
    ],
    logging: { level: 2, filters: "1:*a*", outputs: "3:stderr" },
    sections: { storage: { "/mnt": "answers" }, store: { present: false } },
  });
});

Deno.test("Introspection status() counts the ledger's descriptors where the kernel tells no number", () => {
  const sys = { pid: () => 1, monotonic: () => 0, fileLimit: () => -22 };
  const silent = introspection({ sys: { ...sys, stat: () => 0 } });
  assert.deepEqual(silent.status().descriptors, { open: 12, limit: 0 });
  const failing = introspection({ sys: { ...sys, stat: () => -2 } });
  assert.deepEqual(failing.status().descriptors, { open: 12, limit: 0 });
});

Deno.test("Introspection status() does not go back when the clock is set back", () => {
  assert.equal(introspection({ now: () => 500 }).status().uptime, 0);
});

Deno.test("Introspection metrics() is made of the same facts", () => {
  const text = introspection().metrics();
  for (
    const sample of [
      'virtlockd_build_info{version="1.2.3"} 1',
      "virtlockd_open_descriptors 31",
      'virtlockd_clients_max{server="virtlockd"} 1024',
      'virtlockd_locks{lockspace="/ls",mode="shared"} 1',
      "virtlockd_holders_dying 1",
    ]
  ) assert.equal(text.split("\n").includes(sample), true, sample);
});
