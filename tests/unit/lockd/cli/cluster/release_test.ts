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
