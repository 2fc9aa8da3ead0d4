import assert from "node:assert/strict";
import { clusterOpenCommand } from "../../../../../src/lockd/cli/cluster/open.ts";
import { say } from "./played_command.ts";
import { PlayedCluster } from "./played_cluster.ts";

const META = { schema: 2, spaces: ["scsi"], phase: "forming", round: "r1", expect: [], without: [], why: "" };
const COMPARE =
  "Compare with each host's name, and with its cluster_host_id. Where a name is right, start the daemon of that host; " +
  "'virtlockd cluster join' there says what is in the way. Where one is wrong, say this again, with all hosts";
const UNKNOWN = "etcd knows nothing of kvm9, and the cluster stays closed until each of these has joined";

Deno.test("a name that etcd knows nothing of is told before the wait for it, and behind it", async () => {
  const played = new PlayedCluster();
  played.put(played.keys.meta, META);
  played.host("a");
  const args = ["--expect", "kvm-a,kvm9", "--wait", "2"];
  assert.deepEqual(await say(played, clusterOpenCommand, args), {
    questions: [],
    warnings: [`${UNKNOWN}. ${COMPARE}`],
    said:
      "1 The cluster is not open yet: it waits for kvm-a, kvm9. It opens by itself as soon as every host that was " +
      "named has joined; 'virtlockd status' says on each why it has not. " +
      `etcd knows nothing of kvm9. ${COMPARE}`,
  });
  assert.equal(played.now, 2000);
});

Deno.test("a cluster that no host has joined is waited for, and named at once", async () => {
  const played = new PlayedCluster();
  assert.deepEqual(await say(played, clusterOpenCommand, ["--expect", "kvm9", "--wait", "2"]), {
    questions: [],
    warnings: [
      "No host has joined a cluster 'test' in this etcd yet, and one is waited for. Compare with cluster_name in " +
      "virtlockd.conf of the hosts; 'virtlockd cluster join' there says what is in the way",
    ],
    said:
      "1 No host has joined this cluster yet: set it up in virtlockd.conf of each, and say 'virtlockd cluster join' there",
  });
  assert.equal(played.now, 2000);
});

Deno.test("a host that is named in a cluster that is open and was fenced is no member, and told", async () => {
  const played = new PlayedCluster();
  played.put(played.keys.meta, { ...META, phase: "open" });
  played.host("a");
  const fencing = { state: "fenced", by: "ann", from: "desk", at: 1000 } as const;
  played.host("b", { heard: false, fencing });
  const open = async () => (await say(played, clusterOpenCommand, ["--expect", "kvm-a,kvm-b"])).said;
  assert.equal(
    await open(),
    "1 The cluster is open, but no member is called kvm-b: virtlockd cluster hosts lists them. Start no guest elsewhere " +
      "on a disk that such a host uses, before 'virtlockd status' says live on it",
  );
  // It is back, in another session.
  played.host("b", { session: "s-b.2" });
  assert.equal(await open(), "The cluster is open.\n");
});
