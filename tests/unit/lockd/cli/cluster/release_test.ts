import assert from "node:assert/strict";
import { clusterReleaseCommand } from "../../../../../src/lockd/cli/cluster/release.ts";
import { PlayedCluster } from "./played_cluster.ts";
import { say } from "./played_command.ts";

Deno.test("cluster release finds a lock by its name as the list shows it, unless another one is called that", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false });
  cluster.lock("s-a", "a%09b");
  cluster.lock("s-a", "a%5Ctb");
  const free = async (named: string) => (await say(cluster, clusterReleaseCommand, [named, "--yes"])).said;
  const released = (name: string) =>
    `Released: scsi/${name}, exclusive, of domain 'web' (uuid u, pid 7) since 1970-01-01 00:00:01Z on host ` +
    "'kvm-a' (silent)\n";
  assert.equal(await free("a\\tb"), released("a\\tb"));
  assert.deepEqual(cluster.etcd.keys(cluster.keys.exclusives), [`${cluster.keys.exclusives}scsi/a%09b`]);
  assert.equal(await free("a\\tb"), released("a\\tb"));
  assert.deepEqual(cluster.etcd.keys(cluster.keys.exclusives), []);
  assert.equal(
    await free("a\\tb"),
    "1 There is no lock on a\\tb in the cluster; virtlockd cluster locks lists them",
  );
});

Deno.test("cluster release frees a lock with a record as large as etcd takes, and says so in few words to etcd", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false });
  const key = `${cluster.keys.exclusives}scsi/disk`;
  const domain = "x".repeat(1_400_000);
  cluster.put(key, { session: "s-a", attempt: "a", domain, uuid: "u", pid: 7, start: 1, since: 1000 });
  let longest = 0;
  cluster.before = (question) => void (longest = Math.max(longest, JSON.stringify(question).length));
  await say(cluster, clusterReleaseCommand, ["disk", "--yes"]);
  assert.equal(cluster.etcd.get(key), undefined);
  assert.ok(longest < 1000, `a question of ${longest} characters`);
});

Deno.test("cluster release frees nothing that was written since it was asked for", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false });
  cluster.lock("s-a", "disk");
  cluster.before = (question) => {
    if (question.kind !== "transaction" || question.transaction.compare.length === 0) return;
    cluster.before = () => {};
    cluster.lock("s-a", "disk");
  };
  const { said } = await say(cluster, clusterReleaseCommand, ["disk", "--yes"]);
  assert.equal(
    said,
    "1 Nothing was released: meanwhile the lock was released, written anew or given to somebody else",
  );
  assert.deepEqual(cluster.etcd.keys(cluster.keys.exclusives), [`${cluster.keys.exclusives}scsi/disk`]);
});

Deno.test("cluster release takes host and lock directory as the list shows them", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false, name: "kvm\t7" });
  cluster.host("b", { heard: false, name: "kvm8" });
  for (const session of ["s-a", "s-b"]) cluster.lock(session, "disk", true);
  const { said } = await say(cluster, clusterReleaseCommand, ["disk", "--host", "kvm\\t7", "--yes"]);
  assert.match(said, /^Released: scsi\/disk, shared, of domain 'web' .* on host 'kvm\\t7' \(silent\)$/m);
  assert.equal(cluster.etcd.keys(cluster.keys.shares).length, 1);
});
