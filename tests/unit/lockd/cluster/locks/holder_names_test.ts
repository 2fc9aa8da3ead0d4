import assert from "node:assert/strict";
import { HolderNames, type NamedHolder } from "../../../../../src/lockd/cluster/locks/holder_names.ts";
import { PlayedCluster } from "../../cli/cluster/played_cluster.ts";

const HOLDER = { domain: "web", uuid: "u", pid: 7, start: 1, since: 1000 };
const BY = { kind: "host", shared: false, domain: "web", uuid: "u", pid: 7, since: 1000 };

/** Who has a lock of a session, asked at a time. */
function named(cluster: PlayedCluster, session: string, at: number): NamedHolder {
  const answers: NamedHolder[] = [];
  const names = new HolderNames({
    keys: cluster.keys,
    now: () => at,
    session: {
      ask: (transaction, done) => done(cluster.etcd.apply({ kind: "transaction", transaction }, 0)),
    },
  });
  names.name({ ...HOLDER, session }, false, (by) => answers.push(by));
  const [by] = answers;
  return by ?? assert.fail("nothing was told");
}

Deno.test("a holder is named by its host, and one that is silent by when that was noticed first", () => {
  const cluster = new PlayedCluster();
  cluster.host("a");
  assert.deepEqual(named(cluster, "s-a", 5000), { ...BY, host: "kvm-a" });
  cluster.host("b", { heard: false });
  assert.deepEqual(named(cluster, "s-b", 5000), { ...BY, host: "kvm-b", silentSince: 5000 });
  assert.deepEqual(named(cluster, "s-b", 9000), { ...BY, host: "kvm-b", silentSince: 5000 });
});

Deno.test("an earlier start of a host that is heard of is silent, and a later session of one start is not", () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { session: "old", heard: false });
  cluster.host("a", { session: "new" });
  assert.equal(named(cluster, "old", 5000).silentSince, 5000);
  cluster.host("b", { session: "s", heard: false });
  cluster.host("b", { session: "s.2" });
  assert.equal(named(cluster, "s", 5000).silentSince, undefined);
});

Deno.test("of a session that is not there nothing is told but its guest", () => {
  assert.deepEqual(named(new PlayedCluster(), "s-x", 5000), { ...BY, host: "" });
});

Deno.test("a host that is heard of again while it is looked up is not called silent", () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false });
  const names = new HolderNames({
    keys: cluster.keys,
    now: () => 5000,
    session: {
      ask: (transaction, done) => {
        const notes = transaction.success.some(({ op }) => op === "put");
        if (notes) cluster.host("a");
        done(cluster.etcd.apply({ kind: "transaction", transaction }, 0));
      },
    },
  });
  names.name({ ...HOLDER, session: "s-a" }, false, () => {});
  assert.equal(cluster.etcd.get(cluster.keys.silence("s-a")), undefined);
});

Deno.test("a host is not called silent by what cannot be read", () => {
  const cluster = new PlayedCluster();
  cluster.host("a");
  cluster.spoil(cluster.keys.host("a"), "\udcff");
  assert.deepEqual(named(cluster, "s-a", 5000), { ...BY, host: "kvm-a" });
  assert.equal(cluster.etcd.get(cluster.keys.silence("s-a")), undefined);
});
