import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { decodeMeta, encodeMeta } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { decodeSession } from "../../../../../src/lockd/cluster/keys/session_record.ts";
import { LEFT_BEHIND } from "../../../../../src/lockd/cluster/session/doubts.ts";
import { OwnSession } from "../../../../../src/lockd/cluster/session/own_session.ts";
import { type Joined, SessionJoin } from "../../../../../src/lockd/cluster/session/session_join.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
const META = { spaces: ["scsi"], phase: "open", round: "r1", expect: [], without: [], why: "" } as const;
const RECORD = { host: "h", name: "n", boot: "b", nonce: "other" };

class Stage {
  readonly etcd = new PlayedEtcd("none");
  readonly own = new OwnSession({ session: "s" });
  readonly told: string[] = [];
  /** What is answered in etcd's place to a change. */
  answer: ((transaction: Transaction) => Answer) | undefined;
  unkept: string | undefined;
  closed = false;
  lost: number | undefined;
  #nonces = 0;
  readonly join = new SessionJoin({
    parts: {
      etcd: {
        unreachable: undefined,
        starting: false,
        ask: (question, _limit, done) => done(this.etcd.apply(question, 0)),
      },
      loop: new PlayedTime().loop(),
      clock: () => 0,
      keys: KEYS,
      host: { id: "h", name: "n", boot: "b", daemon: { place: "p", pid: 1, start: 1 } },
      isEarlier: () => false,
      spaces: ["scsi"],
      nonce: () => `n${this.#nonces++}`,
      note: undefined,
      joinMs: () => 0,
      keep: ({ session }) => {
        this.told.push(`keeps ${session}`);
        return this.unkept;
      },
      holds: () => false,
      held: () => 0,
      has: () => false,
      look: () => undefined,
      givesBack: () => false,
      left: () => assert.fail("the session tells that"),
      marksGone: () => void this.told.push("marks gone"),
      gaveUp: () => assert.fail("the session tells that"),
      reconcile: () => assert.fail("nothing is put in"),
      observer: {
        clusterJoined: () => assert.fail(),
        clusterTroubled: () => assert.fail(),
        clusterLost: () => assert.fail(),
        clusterRecovered: () => assert.fail(),
        clusterDoubtful: () => assert.fail(),
        clusterCondemned: ({ by }) => void this.told.push(`condemned by ${by}`),
        clusterFenced: ({ by }) => void this.told.push(`fenced by ${by}`),
      },
    },
    own: this.own,
    ask: (transaction, done) => {
      const changes = transaction.success.some(({ op }) => op === "put");
      if (changes && this.answer !== undefined) return done(this.answer(transaction));
      done(this.etcd.apply({ kind: "transaction", transaction }, 0));
    },
    closed: () => this.closed,
    lost: (before) => this.lost ?? before,
    fenced: () => void this.told.push("begins anew"),
    goesOn: () => void this.told.push("goes on"),
  });

  constructor(session?: object) {
    this.etcd.put(KEYS.meta, encodeMeta(META));
    if (session !== undefined) this.etcd.put(KEYS.session("s"), JSON.stringify(session));
  }

  step(): Joined {
    const joined: Joined[] = [];
    this.join.step((each) => void joined.push(each));
    assert.equal(joined.length, 1);
    return joined[0] ?? assert.fail();
  }

  get record() {
    return decodeSession({ key: "k", value: this.etcd.get(KEYS.session("s")) ?? "", changedAt: 0 });
  }
}

Deno.test("a session is written behind its note on this host, and its nonce is known then", () => {
  const stage = new Stage();
  const joined = stage.step();
  assert.equal(joined.kind, "written");
  assert.deepEqual(stage.told, ["keeps s"]);
  assert.deepEqual(stage.record, { host: "h", name: "n", boot: "b", nonce: "n0" });
  assert.deepEqual([stage.own.member, [...stage.own.tried ?? []]], [true, ["n0"]]);
  assert.ok(joined.kind === "written");
  assert.equal(joined.epoch.session, stage.etcd.revision);
  assert.deepEqual(joined.meta, META);
});

Deno.test("a session that could not be noted is not written", () => {
  const stage = new Stage();
  stage.unkept = "no space";
  assert.deepEqual(stage.step(), { kind: "again", reason: "no space" });
  assert.equal(stage.etcd.get(KEYS.session("s")), undefined);
});

Deno.test("a nonce that may still come is this host's own, one that was refused is not", () => {
  const stage = new Stage();
  stage.step();
  stage.answer = () => ({ kind: "unknown", reason: "cut" });
  assert.deepEqual(stage.step(), { kind: "again", reason: "cut" });
  stage.answer = () => ({ kind: "full", reason: "full" });
  assert.deepEqual(stage.step(), { kind: "again", reason: "full" });
  stage.answer = () => ({ kind: "refused", reason: "no" });
  assert.deepEqual(stage.step(), { kind: "again", reason: "no" });
  assert.deepEqual([...stage.own.tried ?? []], ["n0", "n1", "n2"]);
});

Deno.test("a session that somebody has changed meanwhile is looked at again at once", () => {
  const stage = new Stage();
  stage.answer = (transaction) => {
    stage.etcd.put(KEYS.meta, encodeMeta({ ...META, round: "r2" }));
    return stage.etcd.apply({ kind: "transaction", transaction }, 0);
  };
  assert.deepEqual(stage.step(), { kind: "now" });
  stage.answer = undefined;
  assert.equal(stage.step().kind, "written");
});

Deno.test("how many locks are lost is what an earlier life found, until this one knows it", () => {
  const stage = new Stage({ ...RECORD, lost: 3 });
  stage.step();
  assert.deepEqual([stage.record.lost, stage.own.lost], [3, 3]);
  stage.lost = 1;
  stage.step();
  assert.deepEqual([stage.record.lost, stage.own.lost], [1, 1]);
});

Deno.test("a host that objects while another one has its place says on how many locks its guests have lost", () => {
  const condemned = { state: "condemned", by: "ann", from: "desk", at: 1 };
  const stage = new Stage({ ...RECORD, lost: 3, fencing: condemned });
  const other = { session: "t", boot: "b2", name: "n", daemon: { place: "q", pid: 1, start: 1 } };
  stage.etcd.put(KEYS.host("h"), encodeRecord(other));
  assert.equal(stage.step().kind, "again");
  assert.deepEqual(stage.record, { ...RECORD, nonce: "n0", lost: 3 });
});

Deno.test("a host that is condemned writes its session, and one that was fenced begins another", () => {
  const word = { by: "root", from: "kvm2", at: 1 };
  const condemned = new Stage({ ...RECORD, fencing: { ...word, state: "condemned" } });
  assert.equal(condemned.step().kind, "written");
  assert.deepEqual(condemned.told, ["keeps s", "condemned by root"]);
  assert.equal(condemned.record.fencing, undefined);
  const fenced = new Stage({ ...RECORD, fencing: { ...word, state: "fenced" } });
  assert.deepEqual(fenced.step(), { kind: "now" });
  assert.deepEqual(fenced.told, ["fenced by root", "begins anew"]);
  assert.deepEqual([...fenced.own.fenced], ["s"]);
});

Deno.test("a host that was made to leave begins another session when it is started, and not before", () => {
  const started = new Stage({ ...RECORD, left: true });
  assert.deepEqual(started.step(), { kind: "now" });
  // Who has had the disks of its paused guests is lost with the marks: nobody is resumed for want of one.
  assert.deepEqual(started.told, ["marks gone"]);
  assert.equal(started.own.id, "n0");
  const running = new Stage();
  running.step();
  running.etcd.put(KEYS.session("s"), encodeRecord({ ...running.record, left: true }));
  const at = running.etcd.revision;
  const joined = running.step();
  assert.ok(joined.kind === "lost");
  assert.deepEqual([joined.givenUp, joined.left], [{ doubt: LEFT_BEHIND, at }, true]);
  assert.equal(running.told.at(-1), "marks gone");
});

Deno.test("a host that finds another etcd closes the cluster, and has told so when that is written", () => {
  const stage = new Stage();
  stage.own.differs("it was emptied");
  stage.answer = () => ({
    kind: "transaction",
    result: { succeeded: false, results: [], cluster: "1", revision: 9 },
  });
  assert.deepEqual(stage.step(), { kind: "now" });
  assert.equal(stage.own.told, false);
  stage.answer = undefined;
  assert.deepEqual(stage.step(), { kind: "now" });
  assert.equal(stage.own.told, true);
  const meta = decodeMeta({ key: "k", value: stage.etcd.get(KEYS.meta) ?? "", changedAt: 0 });
  assert.deepEqual([meta.phase, meta.why], ["recovering", "it was emptied"]);
});

Deno.test("what cannot be read in etcd is tried again, and said", () => {
  const stage = new Stage();
  stage.etcd.put(KEYS.session("s"), "{");
  assert.deepEqual(stage.step(), {
    kind: "again",
    reason: `${KEYS.session("s")} holds no record (docs/cluster-etcd.md says what to do with such a key)`,
  });
});
