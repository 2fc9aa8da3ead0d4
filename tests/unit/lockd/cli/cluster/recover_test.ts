import assert from "node:assert/strict";
import type { Confirmation } from "../../../../../src/chassis/cli/confirm.ts";
import { clusterRecoverCommand } from "../../../../../src/lockd/cli/cluster/recover.ts";
import { decodeMeta, type MetaRecord } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { decodeSession } from "../../../../../src/lockd/cluster/keys/session_record.ts";
import { say } from "./played_command.ts";
import { PlayedCluster } from "./played_cluster.ts";

const META = { spaces: ["scsi"], phase: "open", round: "r1", expect: [], without: [], why: "" } as const;
const LOST = { ...META, phase: "recovering", why: "etcd was emptied" } as const;

/** A cluster with hosts `a` and `b`; nothing is heard of `b`. It opens as soon as its hosts are named. */
class Stage extends PlayedCluster {
  constructor(meta: MetaRecord = META) {
    super();
    this.host("a");
    this.host("b", { heard: false });
    this.agree(meta);
    this.before = () => {
      if (this.meta.expect.length > 0) this.agree({ ...this.meta, phase: "open", expect: [], why: "" });
    };
  }

  get meta(): MetaRecord {
    return decodeMeta({ key: "meta", value: this.etcd.get(this.keys.meta) ?? "", changedAt: 0 });
  }

  agree(meta: MetaRecord): void {
    this.put(this.keys.meta, { schema: 2, ...meta });
  }

  get isFenced(): boolean {
    const [entry] = this.questions.get(this.keys.session("s-b"));
    return entry !== undefined && decodeSession(entry).fencing?.state === "fenced";
  }

  recover(args: readonly string[], answer?: Confirmation) {
    return say(this, clusterRecoverCommand, args, answer);
  }
}

const BOTH = ["--expect", "kvm-a,kvm-b"];
const ONE = ["--expect", "kvm-a", "--without", "kvm-b"];
const OPENED = "The cluster is open again.\n";

const IS_OPEN =
  "cluster is open, and nothing that etcd tells calls for a recovery. Recovering closes it: guests run on, but no host " +
  "gets a new lock before every host that is named has put in what it has. That is right where etcd was restored, " +
  "emptied or exchanged, and no host has noticed it yet";
const ARE_OFF =
  "Are kvm-b off, and will stay off until none of their guests is left? If one of them runs, two guests may write to " +
  'one disk. Type "yes" if they are: ';

Deno.test("an open cluster is closed for a recovery only by whoever has read what that does", async () => {
  const stage = new Stage();
  const question = `The ${IS_OPEN}. Type "yes" to recover it: `;
  assert.deepEqual(await stage.recover(BOTH, "no"), {
    questions: [question],
    warnings: [],
    said: "1 Nothing was changed",
  });
  assert.deepEqual(await stage.recover(BOTH), {
    questions: [question],
    warnings: [],
    said: `1 Nothing was changed: the ${IS_OPEN}: then "--yes" is needed, without a terminal to ask at`,
  });
  assert.deepEqual(stage.meta, META);
  assert.deepEqual(await stage.recover(BOTH, "yes"), { questions: [question], warnings: [], said: OPENED });
  const { round } = stage.meta;
  assert.notEqual(round, "r1");
  assert.deepEqual(await stage.recover([...BOTH, "--yes"]), { questions: [], warnings: [], said: OPENED });
  assert.notEqual(stage.meta.round, round);
});

Deno.test("whoever leaves a host out of an open cluster is told that to fence it is enough", async () => {
  const stage = new Stage();
  assert.deepEqual(await stage.recover(ONE, "no"), {
    questions: [
      `The ${IS_OPEN}. For hosts that are dead nothing has to be closed: 'virtlockd cluster fence HOST'. ${ARE_OFF}`,
    ],
    warnings: [],
    said: "1 Nothing was changed",
  });
  assert.deepEqual((await stage.recover(ONE)).said, (await stage.recover(BOTH)).said);
  assert.deepEqual([stage.meta, stage.isFenced, stage.now], [META, false, 0]);
  assert.deepEqual(await stage.recover([...ONE, "--yes"]), { questions: [], warnings: [], said: OPENED });
  assert.equal(stage.isFenced, true);
});

Deno.test("a cluster that is being recovered is so in its own round, and only for left out hosts somebody is asked", async () => {
  const stage = new Stage(LOST);
  assert.deepEqual(await stage.recover(ONE), {
    questions: [ARE_OFF],
    warnings: [],
    said: '1 Without a terminal to ask at, "--yes" is needed',
  });
  assert.deepEqual(await stage.recover(BOTH), { questions: [], warnings: [], said: OPENED });
  assert.deepEqual(stage.meta, META);
});

Deno.test("a cluster that somebody else has recovered meanwhile is not closed once more", async () => {
  const stage = new Stage(LOST);
  stage.before = () => {
    if (stage.now === 10_000) stage.agree(META);
  };
  assert.deepEqual((await stage.recover(ONE, "yes")).said, `1 ${BY_ANOTHER}`);
  assert.deepEqual([stage.meta, stage.isFenced], [META, false]);
});

const BY_ANOTHER =
  "The cluster is open by now, for somebody else has said which hosts it has: it was not closed once more. Look at " +
  "'virtlockd cluster hosts', and say the same again if it is still to be done";

Deno.test("a recovery of which etcd has not told that it was begun is not begun once more when it is over", async () => {
  const stage = new Stage(LOST);
  const { answer } = stage;
  let unheard = true;
  stage.answer = (question) => {
    const answered = answer.call(stage, question);
    if (!unheard || stage.meta.expect.length === 0) return answered;
    unheard = false;
    return { kind: "unknown", reason: "etcd has not answered" };
  };
  assert.deepEqual(await stage.recover(BOTH), { questions: [], warnings: [], said: OPENED });
  assert.deepEqual([stage.meta, unheard], [META, false]);
});

Deno.test("a host that etcd knows nothing of is waited for, and named at once, before it comes", async () => {
  const stage = new Stage(LOST);
  const { before } = stage;
  stage.before = (question) => {
    if (stage.now === 3000) stage.host("c");
    if (stage.now >= 3000) before(question);
  };
  const { warnings, said } = await stage.recover(["--expect", "kvm-a,kvm-b,kvm-c"]);
  assert.equal(said, OPENED);
  assert.deepEqual(warnings, [
    "etcd knows nothing of kvm-c, and the cluster stays closed until each of these has joined. Compare with each host's " +
    "name, and with its cluster_host_id. Where a name is right, start the daemon of that host; 'virtlockd cluster " +
    "join' there says what is in the way. Where one is wrong, say this again, with all hosts",
  ]);
});

Deno.test("a host that is left out, and that etcd knows nothing of, is named before anything is done", async () => {
  const stage = new Stage(LOST);
  const without = ["--expect", "kvm-a,kvm-b", "--without", "kvm9", "--dead"];
  const warning =
    "etcd knows nothing of kvm9, so nothing is freed of it. Compare with that host's name, and with its " +
    "cluster_host_id: under a wrong name the host that is meant is not left out, and puts in what it has when it comes back";
  const asked = await stage.recover(without, "no");
  assert.deepEqual([asked.warnings, asked.said], [[warning], "1 Nothing was changed"]);
  assert.deepEqual((await stage.recover([...without, "--yes"])).warnings, [warning]);
});

Deno.test("a recovery may be said before any host has noticed that etcd was emptied", async () => {
  const stage = new Stage(LOST);
  stage.delete(stage.keys.meta);
  const { before } = stage;
  stage.before = (question) => {
    if (stage.now < 3000) return;
    if (stage.etcd.get(stage.keys.meta) === undefined) stage.agree(LOST);
    before(question);
  };
  assert.equal((await stage.recover(BOTH)).said, OPENED);
});

Deno.test("a host that was named, and that somebody else has recovered without meanwhile, is told", async () => {
  const stage = new Stage(LOST);
  const opens = stage.before;
  stage.before = (question) => {
    // It is another one's word that the hosts have heard.
    if (stage.meta.expect.length > 0) {
      stage.host("b", { heard: false, fencing: { state: "fenced", by: "bob", from: "kvm-a", at: 1000 } });
    }
    opens(question);
  };
  assert.equal(
    (await stage.recover(BOTH)).said,
    "1 The cluster is open, but no member is called kvm-b: virtlockd cluster hosts lists them. Start no guest elsewhere " +
      "on a disk that such a host uses, before 'virtlockd status' says live on it",
  );
});
