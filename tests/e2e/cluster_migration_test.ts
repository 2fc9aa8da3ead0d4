import assert from "node:assert/strict";
import { ClusterHosts, clusterReleases } from "./support/cluster_hosts.ts";
import { ALPHA, BETA, defineRival, defineTenDisks, LOCKS } from "./support/ten_disk_guest.ts";

// A real guest of ten disks and a lease on two hosts of a cluster: what libvirt does with its locks in etcd
// when it is migrated. Other releases than Debian 12 on demand, with VIRTLOCKD_TEST_CLUSTER.

const CHOSEN = clusterReleases();
const RELEASES = CHOSEN ?? ["bookworm", "bookworm"] as const;
/** On demand hosts are as they are set up by default. In CI other tests take their CPUs meanwhile. */
const SETTINGS = CHOSEN === undefined ? "storage_timeout = 60\\ncluster_wait = 60\\n" : undefined;
/** How often the guest is migrated there and back. */
const ROUNDS = Number(Deno.env.get("VIRTLOCKD_TEST_MIGRATIONS") ?? 2);
const MIGRATED = { code: 0, stdout: "", stderr: "" };

Deno.test(`A guest of ten disks is migrated between two hosts of a cluster (${RELEASES.join(", ")})`, async (t) => {
  await using hosts = await ClusterHosts.start(RELEASES, SETTINGS);
  await defineTenDisks(hosts, 0, ALPHA, { leased: true });
  await defineRival(hosts, 1, BETA);

  await t.step("while it runs on one host the other one refuses its lease", async () => {
    await hosts.libvirt(0).virsh("start", "alpha");
    await hosts.runsOn(0, "alpha", LOCKS);
    assert.match(
      await hosts.libvirt(1).virshError("start", "beta"),
      /is locked by domain 'alpha' \(uuid 1{8}-.*, pid \d+\) since .* on host/,
    );
  });

  // A newer libvirt and QEMU take what an older one gives, and not the other way round.
  if (RELEASES[0] !== RELEASES[1]) {
    await t.step("to a newer release", async () => {
      assert.deepEqual(await hosts.migrate("alpha", 0), MIGRATED);
      await hosts.runsOn(1, "alpha", LOCKS);
    });
    return;
  }
  await t.step(`${ROUNDS} times there and back`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const [from, to] of [[0, 1], [1, 0]] as const) {
        assert.deepEqual(await hosts.migrate("alpha", from), MIGRATED);
        await hosts.runsOn(to, "alpha", LOCKS);
      }
    }
  });
});
