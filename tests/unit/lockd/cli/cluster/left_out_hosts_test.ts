import assert from "node:assert/strict";
import { LeftOutHosts } from "../../../../../src/lockd/cli/cluster/left_out_hosts.ts";
import { decodeSession } from "../../../../../src/lockd/cluster/keys/session_record.ts";
import { PlayedCluster } from "./played_cluster.ts";

const WORD = { by: "ann", from: "desk", at: 1000 };
const FENCED = { state: "fenced", ...WORD };

/** A cluster in which host `a` lives, and nothing is heard of host `b`. */
class Stage extends PlayedCluster {
  constructor() {
    super();
    this.host("a");
    this.host("b", { heard: false });
  }

  leftOut(without: readonly string[], more: { dead?: boolean; expect?: readonly string[] } = {}) {
    const { questions, keys } = this;
    return new LeftOutHosts({ questions, keys, without, expect: ["a"], dead: false, word: WORD, ...more });
  }

  /** Makes the change as the command does. */
  change(out: LeftOutHosts): boolean {
    const { compare, put } = out.fenced();
    const changed = this.questions.change({ compare, success: put, failure: [] });
    return changed.kind === "done" && changed.result.succeeded;
  }

  said(session: string) {
    const [entry] = this.questions.get(this.keys.session(session));
    return entry === undefined ? assert.fail("it is gone") : decodeSession(entry).fencing;
  }
}

Deno.test("a host that is left out is condemned, has 10 s to object, and is fenced with the change that says so", () => {
  const stage = new Stage();
  stage.host("b", { session: "s-b0", heard: false, name: "old-name" });
  stage.lock("s-b", "disk");
  stage.mark("s-b", "paused", 7);
  stage.lock("s-a", "other");
  const out = stage.leftOut(["kvm-b"]);
  out.confirm();
  assert.equal(stage.said("s-b"), undefined);
  out.condemn();
  assert.equal(stage.now, 10_000);
  assert.deepEqual([stage.said("s-b")?.state, stage.said("s-b0")?.state], ["condemned", "condemned"]);
  assert.equal(stage.change(out), true);
  assert.deepEqual([stage.said("s-b"), stage.said("s-b0"), stage.said("s-a")], [FENCED, FENCED, undefined]);
  out.sweep();
  assert.deepEqual(stage.etcd.keys("/own/"), ["/virtlockd/test/own/s-a/lock/scsi/other"]);
  assert.deepEqual(stage.etcd.keys("/paused/"), []);
  // Said once more it changes nothing.
  const again = stage.leftOut(["kvm-b"]);
  again.confirm();
  again.condemn();
  assert.deepEqual([stage.now, again.fenced()], [10_000, { compare: [], put: [] }]);
});

Deno.test("a host that is heard of is not left out, by its name or its id, and nothing is said of it", () => {
  for (const named of ["b", "kvm-b"]) {
    const stage = new Stage();
    stage.host("b");
    assert.throws(() => stage.leftOut([named]).confirm(), {
      message:
        "The cluster is not recovered without host 'kvm-b': it lives, for it was heard of in etcd within the last 10 s. " +
        "Name it with --expect; or shut it down or cut it off from the disks first, and if that is done, and only its " +
        "daemon still reaches etcd, say --dead",
    });
    assert.equal(stage.said("s-b"), undefined);
  }
});

Deno.test("a host that was started again is not left out for its earlier start, of which nothing is heard", () => {
  const stage = new Stage();
  stage.host("b", { session: "s-b2" });
  assert.throws(() => stage.leftOut(["kvm-b"]).confirm(), /'kvm-b': it lives, for it was heard of/);
});

Deno.test("a host that objects in these 10 s is not left out", () => {
  const stage = new Stage();
  const out = stage.leftOut(["b"]);
  out.confirm();
  stage.before = () => {
    if (stage.now === 8000) stage.host("b");
  };
  assert.throws(() => out.condemn(), /'kvm-b' has not been fenced: it lives, for its session in etcd/);
  assert.equal(stage.said("s-b"), undefined);
});

Deno.test("a host that comes back behind these 10 s is not left out, and one that has its change in between neither", () => {
  for (const dead of [false, true]) {
    const stage = new Stage();
    const out = stage.leftOut(["b"], { dead });
    out.confirm();
    out.condemn();
    stage.host("b", { session: "s-b2" });
    assert.throws(() => out.fenced(), /'kvm-b': it lives, for its session in etcd was written since/);
  }
  const stage = new Stage();
  const out = stage.leftOut(["b"]);
  out.confirm();
  out.condemn();
  const { compare, put } = out.fenced();
  stage.host("b");
  const changed = stage.questions.change({ compare, success: put, failure: [] });
  assert.equal(changed.kind === "done" && changed.result.succeeded, false);
  assert.throws(() => out.fenced(), /'kvm-b': it lives/);
  assert.equal(stage.said("s-b"), undefined);
});

Deno.test("a name that nobody has is refused, and taken of a host that is said to be dead: etcd may have lost it", () => {
  const stage = new Stage();
  assert.throws(() => stage.leftOut(["kvm-b", "kvm-bb"]).confirm(), {
    message:
      "etcd knows no host that is called kvm-bb: virtlockd cluster hosts lists those that it knows. If it is right, and " +
      "etcd has lost that host, say --dead",
  });
  const out = stage.leftOut(["kvm-bb"], { dead: true });
  out.confirm();
  out.condemn();
  assert.deepEqual(out.fenced(), { compare: [], put: [] });
});

Deno.test("a host of which somebody says that it is dead is fenced at once, also when it is heard of", () => {
  const stage = new Stage();
  stage.host("b", { lost: 2 });
  const out = stage.leftOut(["b"], { dead: true });
  out.confirm();
  out.condemn();
  assert.equal(stage.change(out), true);
  assert.deepEqual([stage.now, stage.said("s-b")], [0, FENCED]);
});

Deno.test("a host whose guests run on what they have lost is left out only when it is said to be dead", () => {
  const stage = new Stage();
  stage.host("b", { heard: false, lost: 2 });
  const out = stage.leftOut(["b"]);
  out.confirm();
  assert.throws(() => out.condemn(), /its guests have lost 2 locks when it was fenced before/);
  assert.equal(stage.said("s-b"), undefined);
});

Deno.test("a host is not left out that is waited for by another of its names", () => {
  const stage = new Stage();
  for (const dead of [false, true]) {
    assert.throws(() => stage.leftOut(["kvm-b"], { dead, expect: ["a", "b"] }).confirm(), {
      message:
        "Host kvm-b (id b) is named with --expect and with --without: of hosts with one name each is named by its id",
    });
  }
});
