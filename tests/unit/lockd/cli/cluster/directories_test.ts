import assert from "node:assert/strict";
import { ClosedCluster } from "../../../../../src/lockd/cli/cluster/closed_cluster.ts";
import { takeDirectories } from "../../../../../src/lockd/cli/cluster/directories.ts";
import { decodeMeta, type MetaRecord } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { CLUSTER_DEFAULTS } from "../../../../../src/lockd/identity/cluster_settings.ts";
import { PlayedCluster } from "./played_cluster.ts";

const META: MetaRecord = {
  spaces: ["lvm", "scsi"],
  phase: "open",
  round: "r1",
  expect: [],
  without: ["old"],
  why: "",
};
const FENCED = { state: "fenced", by: "ann", from: "desk", at: 0 };
const WORD = { by: "ann", from: "kvm-a", at: 5 };

/** A cluster of two hosts, whose configuration names these directories. */
function stage(names: readonly string[], meta: MetaRecord = META) {
  const played = new PlayedCluster();
  played.put(played.keys.meta, { schema: 2, ...meta });
  played.host("a");
  played.host("b", { heard: false });
  played.host("dead", { heard: false, fencing: FENCED });
  const settings = {
    ...CLUSTER_DEFAULTS,
    clusterLockspaces: new Map(names.filter((name) => name !== "devices").map((name) => [name, `/${name}`])),
    clusterDevices: names.includes("devices"),
  };
  const { questions, keys } = played;
  return {
    played,
    take: (...expect: readonly string[]) =>
      takeDirectories({ questions, keys, settings }, new ClosedCluster(played, () => {}), expect, WORD),
    get meta(): MetaRecord {
      return decodeMeta({ key: "", value: played.etcd.get(keys.meta) ?? "", changedAt: 0 });
    },
  };
}

Deno.test("a cluster is closed for its new directories, until somebody says which hosts it has", () => {
  const cluster = stage(["scsi", "lvm", "leases", "devices"]);
  cluster.take("a", "kvm-b");
  const { round, ...meta } = cluster.meta;
  assert.notEqual(round, "r1");
  assert.deepEqual(meta, {
    spaces: ["devices", "leases", "lvm", "scsi"],
    phase: "forming",
    expect: [],
    without: [],
    why: "ann on kvm-a has changed its directories from lvm, scsi to devices, leases, lvm, scsi",
  });
});

Deno.test("nothing is closed where the directories are what they are to be, or etcd has lost something", () => {
  const same = stage(["scsi", "lvm"]);
  same.take("a", "b");
  assert.deepEqual(same.meta, META);
  const recovering = { ...META, phase: "recovering", why: "etcd has gone back" } as const;
  const lost = stage(["leases", "scsi", "lvm"], recovering);
  lost.take("a", "b");
  assert.deepEqual(lost.meta, recovering);
});

Deno.test("every host of the cluster has to be named that is not fenced and has not left, also a silent one", () => {
  const cluster = stage(["leases", "scsi", "lvm"]);
  assert.throws(() => cluster.take("a"), {
    message:
      "kvm-b (id b): of the cluster, and not named. Name every host with --expect. One that is off for good is fenced, " +
      "or made to leave, before",
  });
  assert.deepEqual(cluster.meta, META);
});

Deno.test("of two hosts of one name each is named by its id", () => {
  const cluster = stage(["leases", "scsi", "lvm"]);
  cluster.played.host("c", { name: "kvm-b" });
  assert.throws(() => cluster.take("a", "kvm-b"), {
    message: /^kvm-b \(id b\), kvm-b \(id c\): of the cluster/,
  });
  assert.throws(() => cluster.take("a", "b"), { message: /^kvm-b \(id c\): of the cluster/ });
  cluster.take("a", "b", "c");
  assert.equal(cluster.meta.phase, "forming");
});

Deno.test("a host that has come at that very moment has to be named too: the cluster stays closed until then", () => {
  const cluster = stage(["leases", "scsi", "lvm"]);
  let coming = true;
  cluster.played.before = (question) => {
    if (question.kind !== "transaction" || question.transaction.compare.length === 0 || !coming) return;
    coming = false;
    cluster.played.host("c");
  };
  assert.throws(() => cluster.take("a", "b"), {
    message:
      /^kvm-c \(id c\): of the cluster, and not named.* The cluster is closed by now, and stays so until then$/,
  });
  const { phase, expect } = cluster.meta;
  assert.deepEqual([phase, expect], ["forming", []]);
});

Deno.test("a directory is taken out only when nobody has a lock, at that very moment too", () => {
  const used = stage(["scsi"]);
  used.played.lock("s-a", "disk");
  used.played.lock("s-a", "shared", true);
  const message =
    "lvm: of the cluster, and not in virtlockd.conf here. A directory is taken out only when nobody has any lock of the " +
    "cluster's, and there are ";
  assert.throws(() => used.take("a", "b"), { message: `${message}2` });
  assert.deepEqual(used.meta, META);
  const taken = stage(["scsi"]);
  taken.played.before = (question) => {
    if (question.kind === "transaction" && question.transaction.compare.length > 0) {
      taken.played.lock("s-a", "disk");
    }
  };
  assert.throws(() => taken.take("a", "b"), { message: `${message}1` });
  assert.deepEqual(taken.meta, META);
  const unused = stage(["scsi"]);
  unused.take("a", "b");
  assert.deepEqual([unused.meta.spaces, unused.meta.phase], [["scsi"], "forming"]);
});

Deno.test("who has no directories in virtlockd.conf takes none", () => {
  const cluster = stage([]);
  assert.throws(() => cluster.take("a", "b"), {
    message: "There are no cluster_lockspaces in virtlockd.conf here: say this on a host of the cluster",
  });
  assert.deepEqual(cluster.meta, META);
});
