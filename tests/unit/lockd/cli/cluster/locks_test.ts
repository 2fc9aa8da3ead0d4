import assert from "node:assert/strict";
import { knownSessions, namesMeant } from "../../../../../src/lockd/cli/cluster/known_hosts.ts";
import { knownLocks, lockEntry } from "../../../../../src/lockd/cli/cluster/known_locks.ts";
import { clusterLocksText, locksOf } from "../../../../../src/lockd/cli/cluster/locks.ts";
import { overviewText } from "../../../../../src/lockd/cli/cluster/status.ts";
import { PlayedCluster } from "./played_cluster.ts";

Deno.test("knownLocks() lists the locks of all hosts, what is shared for each of them", () => {
  const cluster = new PlayedCluster();
  cluster.host("a");
  cluster.host("b", { heard: false });
  cluster.lock("s-b", "disk%201");
  cluster.lock("s-b", "common", true);
  cluster.lock("s-a", "common", true);
  cluster.lock("s-gone", "%FF");
  const locks = knownLocks(
    cluster.questions,
    cluster.keys,
    knownSessions(cluster.questions, cluster.keys),
  ).map(lockEntry);
  const common = { space: "scsi", domain: "web", uuid: "u", pid: 7, sinceMs: 1000 };
  assert.deepEqual(locks, [
    { ...common, name: "%FF", mode: "exclusive", host: "", session: "s-gone", state: "unknown" },
    { ...common, name: "common", mode: "shared", host: "kvm-a", session: "s-a", state: "live" },
    { ...common, name: "common", mode: "shared", host: "kvm-b", session: "s-b", state: "silent" },
    { ...common, name: "disk 1", mode: "exclusive", host: "kvm-b", session: "s-b", state: "silent" },
  ]);
  assert.equal(
    clusterLocksText(locks.slice(0, 2)),
    `SPACE  NAME    MODE       DOMAIN  UUID  PID  HOST   SINCE                 STATE
scsi   %FF     exclusive  web     u     7    -      1970-01-01 00:00:01Z  unknown
scsi   common  shared     web     u     7    kvm-a  1970-01-01 00:00:01Z  live
`,
  );
  assert.equal(clusterLocksText([]), "No locks.\n");
});

Deno.test("overviewText() counts hosts by their state", () => {
  const hosts = { live: 2, silent: 0, condemned: 0, fenced: 1, left: 0 };
  const overview = {
    name: "prod",
    endpoints: ["http://a", "http://b"],
    members: [{ url: "http://a", version: "3.5.16" }, { url: "http://b", reason: "gone" }],
    founded: true,
    phase: "forming" as const,
    awaited: "it waits for kvm2",
    spaces: ["scsi"],
    hosts,
    locks: 1,
  };
  assert.equal(
    overviewText(overview),
    `cluster:           prod
etcd:              http://a: version 3.5.16; http://b: version not known (gone)
state:             forming, it waits for kvm2
lock directories:  scsi
hosts:             2 live, 1 fenced
locks:             1 lock
`,
  );
  assert.match(
    overviewText({ ...overview, founded: false, hosts: { ...hosts, live: 0, fenced: 0 }, locks: 0 }),
    /none: no host has joined yet\nhosts: +none\nlocks: +none\n$/,
  );
});

Deno.test("locks of one host are those of its name, id or session, and a host that is not there is an error", () => {
  const cluster = new PlayedCluster();
  cluster.host("a");
  cluster.host("b");
  cluster.lock("s-a", "one");
  cluster.lock("s-gone", "two");
  const sessions = knownSessions(cluster.questions, cluster.keys);
  const locks = knownLocks(cluster.questions, cluster.keys, sessions).map(lockEntry);
  for (
    const [meant, names] of [
      ["kvm-a", ["one"]],
      ["a", ["one"]],
      ["s-a", ["one"]],
      ["kvm-b", []],
      ["s-gone", ["two"]],
    ] as const
  ) {
    assert.deepEqual(locksOf(locks, sessions, meant).map(({ name }) => name), names, meant);
  }
  assert.throws(() => locksOf(locks, sessions, "kvm-c"), {
    message: "There is no host 'kvm-c' in the cluster; virtlockd cluster hosts lists them",
  });
});

Deno.test("locksOf() and the hosts that are expected take a host's name as the lists show it", () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { name: "kvm\t7" });
  cluster.lock("s-a", "disk");
  const sessions = knownSessions(cluster.questions, cluster.keys);
  const locks = knownLocks(cluster.questions, cluster.keys, sessions).map(lockEntry);
  assert.equal(locksOf(locks, sessions, "kvm\\t7").length, 1);
  assert.deepEqual(namesMeant(sessions, ["kvm\\t7", "a", "kvm8"]), ["kvm\t7", "a", "kvm8"]);
  cluster.host("b", { name: "kvm\\t7" });
  const more = knownSessions(cluster.questions, cluster.keys);
  assert.deepEqual(namesMeant(more, ["kvm\\t7"]), ["kvm\\t7"]);
});
