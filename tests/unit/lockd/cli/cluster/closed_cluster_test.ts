import assert from "node:assert/strict";
import { ClosedCluster } from "../../../../../src/lockd/cli/cluster/closed_cluster.ts";
import { decodeMeta, type MetaRecord } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { PlayedCluster } from "./played_cluster.ts";

const META = { spaces: ["scsi"], phase: "forming", round: "r1", expect: [], without: [], why: "" } as const;

function stage(meta: MetaRecord = META) {
  const played = new PlayedCluster();
  played.put(played.keys.meta, { schema: 2, ...meta });
  const read = () => {
    const value = played.etcd.get(played.keys.meta) ?? "";
    return decodeMeta({ key: "meta", value, changedAt: 0 });
  };
  const warnings: string[] = [];
  const cluster = new ClosedCluster(played, (text) => warnings.push(`${played.now} ${text}`));
  return { played, read, warnings, cluster };
}

Deno.test("what all hosts agree upon is changed as it is by then, when somebody else changes it too", () => {
  const { played, read, cluster } = stage();
  let others = 2;
  played.before = (question) => {
    if (question.kind !== "transaction" || question.transaction.compare.length === 0 || others-- <= 0) return;
    played.put(played.keys.meta, { schema: 2, ...META, round: `by-another-${others}` });
  };
  cluster.change((meta) => ({ ...meta, expect: ["a"] }));
  assert.deepEqual(read(), { ...META, round: "by-another-0", expect: ["a"] });
});

Deno.test("a change that is never made is told, and nothing is changed that is as it has to be", () => {
  const { played, read, cluster } = stage();
  cluster.change(() => undefined);
  assert.deepEqual(read(), META);
  played.before = (question) => {
    if (question.kind !== "transaction" || question.transaction.compare.length === 0) return;
    played.put(played.keys.meta, { schema: 2, ...META });
  };
  assert.throws(() => cluster.change((meta) => ({ ...meta, expect: ["a"] })), {
    message: "Nothing is known to be changed: etcd was changed meanwhile, try again",
  });
});

Deno.test("of a cluster that nobody has joined a command says what to do", () => {
  assert.throws(() => new ClosedCluster(new PlayedCluster(), () => {}).change(() => undefined), {
    message:
      "No host has joined this cluster yet: set it up in virtlockd.conf of each, and say 'virtlockd cluster join' there",
  });
});

Deno.test("a command waits until the cluster is open, and says then what that waits for", () => {
  const { played, cluster, warnings } = stage({ ...META, expect: ["a", "b"] });
  played.host("a");
  played.host("b");
  const entry = { session: "s", name: "a", round: "r1", state: "settled" };
  played.put(played.keys.entry("id-a"), entry);
  assert.throws(() => cluster.awaitOpen(3000), {
    message:
      "The cluster is not open yet: it waits for b. It opens by itself as soon as every host that was named has " +
      "joined; 'virtlockd status' says on each why it has not. Where a name was wrong, say the command again with " +
      "the right ones",
  });
  assert.equal(played.now, 3000);
  played.before = () => {
    if (played.now === 5000) played.put(played.keys.meta, { schema: 2, ...META, phase: "open" });
  };
  cluster.awaitOpen(30_000);
  assert.equal(played.now, 5000);
  assert.deepEqual(warnings, []);
});

const COMPARE =
  "Compare with each host's name, and with its cluster_host_id. Where a name is right, start the daemon of that host; " +
  "'virtlockd cluster join' there says what is in the way. Where one is wrong, say this again, with all hosts";

Deno.test("names that etcd knows nothing of are told at once, again when others are left, and at the end", () => {
  const { played, cluster, warnings } = stage({ ...META, expect: ["kvm-a", "b", "kvm-c", "kvm9", "gone"] });
  played.host("a");
  played.host("gone", { heard: false, left: true });
  played.before = () => {
    if (played.now === 2000) played.host("b");
    if (played.now === 4000) played.host("c");
  };
  const end = "etcd knows nothing of kvm9";
  assert.throws(() => cluster.awaitOpen(5000), {
    message:
      "The cluster is not open yet: it waits for kvm-a, b, kvm-c, kvm9, gone. It opens by itself as soon as " +
      "every host that was named has joined; 'virtlockd status' says on each why it has not. " +
      `${end}. ${COMPARE}`,
  });
  const closed = "and the cluster stays closed until each of these has joined";
  assert.deepEqual(warnings, [
    `0 etcd knows nothing of b, kvm-c, kvm9, ${closed}. ${COMPARE}`,
    `2000 etcd knows nothing of kvm-c, kvm9, ${closed}. ${COMPARE}`,
    `4000 ${end}, ${closed}. ${COMPARE}`,
  ]);
});

Deno.test("while no host has joined the cluster that is told, once", () => {
  const played = new PlayedCluster();
  const warnings: string[] = [];
  const cluster = new ClosedCluster(played, (text) => warnings.push(text));
  played.before = () => {
    if (played.now === 3000) played.put(played.keys.meta, { schema: 2, ...META });
  };
  cluster.awaitHost(30_000, "prod");
  assert.equal(played.now, 3000);
  const none =
    "No host has joined a cluster 'prod' in this etcd yet, and one is waited for. Compare with cluster_name in " +
    "virtlockd.conf of the hosts; 'virtlockd cluster join' there says what is in the way";
  assert.deepEqual(warnings, [none]);
  cluster.awaitHost(30_000, "prod");
  assert.deepEqual([played.now, warnings], [3000, [none]]);
});

Deno.test("a command says again which hosts there are when one has closed the cluster since", () => {
  const closed = { ...META, phase: "recovering", why: "etcd was restored" } as const;
  const { played, read, cluster } = stage({ ...closed, expect: ["a", "b"] });
  const others = [{ ...closed, round: "r2" }];
  played.before = () => {
    const other = played.now === 2000 ? others.pop() : undefined;
    if (other !== undefined) played.put(played.keys.meta, { schema: 2, ...other });
    if (played.now === 5000) played.put(played.keys.meta, { schema: 2, ...META, phase: "open" });
  };
  const said: MetaRecord[] = [];
  cluster.awaitOpen(30_000, () => {
    cluster.change((meta) => ({ ...meta, expect: ["a", "b"] }));
    said.push(read());
  });
  assert.deepEqual(said, [{ ...closed, round: "r2", expect: ["a", "b"] }]);
  assert.equal(played.now, 5000);
});
