import assert from "node:assert/strict";
import { clusterLeaveCommand } from "../../../../../src/lockd/cli/cluster/leave.ts";
import { PlayedCluster } from "./played_cluster.ts";
import { say } from "./played_command.ts";

const KEYS = "Take the cluster_ keys out of its virtlockd.conf, then 'virtlockd reload' there\n";
const WORD = { state: "fenced", by: "ann", from: "desk", at: 1_795_266_578_207 } as const;

const leave = async (cluster: PlayedCluster, ...args: string[]) =>
  (await say(cluster, clusterLeaveCommand, args)).said;

Deno.test("of a host that was fenced is said by whom, and that it has not left; what it was told stays", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false, fencing: WORD });
  const before = cluster.etcd.get(cluster.keys.session("s-a"));
  for (const args of [["kvm-a"], ["kvm-a", "--force"]]) {
    assert.equal(
      await leave(cluster, ...args),
      "1 Host 'kvm-a' has not left, and nothing was changed: it was fenced by ann on desk, 2026-11-21 13:09:38Z, " +
        "and is no member since. Should it come back, it joins again, unless the cluster_ keys are taken out of " +
        "its virtlockd.conf before. To take it off the list: virtlockd cluster remove kvm-a",
    );
  }
  assert.equal(cluster.etcd.get(cluster.keys.session("s-a")), before);
  // Such a name is no option of the command that is advised.
  cluster.host("b", { heard: false, fencing: WORD, name: "-b" });
  assert.match(await leave(cluster, "--", "-b"), /To take it off the list: virtlockd cluster remove -- -b$/);
});

Deno.test("a host that was fenced before, and has come back, leaves like any other one", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { session: "s-old", heard: false, fencing: WORD });
  cluster.host("a");
  assert.equal(await leave(cluster, "kvm-a"), `Host 'kvm-a' has left the cluster. ${KEYS}`);
  assert.equal(await leave(cluster, "kvm-a"), `Host 'kvm-a' has left the cluster already. ${KEYS}`);
  const { sessions, givenUp }: { sessions: string[]; givenUp: number } = JSON.parse(
    await leave(cluster, "kvm-a", "--json"),
  );
  assert.deepEqual([sessions, givenUp], [[], 0]);
});

Deno.test("a host that is fenced while it is made to leave stays fenced", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false });
  cluster.before = (question) => {
    if (question.kind !== "transaction") return;
    if (question.transaction.success.some((each) => each.op === "list" && each.prefix.includes("/own/"))) {
      cluster.host("a", { heard: false, fencing: WORD });
    }
  };
  assert.match(
    await leave(cluster, "kvm-a"),
    /^1 Host 'kvm-a' has not left: it has been fenced meanwhile/,
  );
  assert.match(cluster.etcd.get(cluster.keys.session("s-a")) ?? "", /"fenced","by":"ann"/);
});

Deno.test("what an earlier command has not given up is named, and given up when it is said again", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false, left: true });
  cluster.lock("s-a", "disk");
  assert.equal(
    await leave(cluster, "kvm-a"),
    "1 Host 'kvm-a' has left, and not all that it had is given up: it has 1 lock of 'web'. See that those guests " +
      "are gone, and give that up too, with --force",
  );
  assert.equal(
    await leave(cluster, "kvm-a", "--force"),
    "Host 'kvm-a' has left the cluster already, and has given up 1 lock of 'web'. Other hosts may have these " +
      `disks now: shut those guests down. ${KEYS}`,
  );
  assert.deepEqual([...cluster.etcd.keys("/lock/"), ...cluster.etcd.keys("/own/")], []);
});

Deno.test("what is said of a guest with a mark is so of one that is paused, and of one that has lost its lock", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a");
  cluster.mark("s-a", "disk", 7);
  assert.equal(
    await leave(cluster, "kvm-a"),
    "1 Host 'kvm-a' has not left: 'web' is there without locks that others have had, or may have. Destroy those " +
      "without there: on a host that has left they may go on over what others have written. Or have it leave all " +
      "the same, and give all of that up, with --force",
  );
  assert.equal(
    await leave(cluster, "kvm-a", "--force"),
    "Host 'kvm-a' has left the cluster. Destroy 'web', which is there without locks that others have had, or may " +
      `have, and would overwrite what these have written. ${KEYS}`,
  );
});

Deno.test("no start of a host is ended where another one has locks", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a");
  cluster.host("a", { session: "s-old", heard: false });
  cluster.lock("s-old", "disk");
  assert.match(await leave(cluster, "kvm-a"), /^1 Host 'kvm-a' has not left: it has 1 lock of 'web'/);
  assert.doesNotMatch(cluster.etcd.get(cluster.keys.session("s-a")) ?? "", /"left"/);
});

Deno.test("where etcd goes away after a host has left that is said, and what to do about its locks", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a");
  cluster.lock("s-a", "disk");
  const answer = cluster.answer.bind(cluster);
  let changes = 0;
  cluster.answer = (question) => {
    const isChange = question.kind === "transaction" && question.transaction.compare.length > 0;
    return isChange && ++changes > 1
      ? { kind: "unknown", reason: "etcd has not answered within 4 s" }
      : answer(question);
  };
  assert.equal(
    await leave(cluster, "kvm-a", "--force"),
    "2 etcd does not answer: etcd has not answered within 4 s. The host has left, and some of its locks may be there " +
      "still: say the same again",
  );
  cluster.answer = answer;
  assert.match(
    await leave(cluster, "kvm-a", "--force"),
    /has left the cluster already, and has given up 1 lock/,
  );
});
