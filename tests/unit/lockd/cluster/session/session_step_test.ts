import assert from "node:assert/strict";
import { encodeMeta, type MetaRecord } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { LEFT_BEHIND, LEFT_OUT } from "../../../../../src/lockd/cluster/session/doubts.ts";
import {
  nextStep,
  type SessionFacts,
  type SessionKeys,
} from "../../../../../src/lockd/cluster/session/session_step.ts";

const FACTS: SessionFacts = {
  host: { id: "h1", name: "kvm1", boot: "b1", daemon: { place: "p", pid: 9, start: 50 } },
  spaces: ["lvm", "scsi"],
  session: "s1",
  member: false,
  tried: undefined,
  keeps: false,
  seen: undefined,
  changed: undefined,
  told: false,
  fenced: new Set(),
  isEarlier: ({ pid }) => pid === 8,
};
const RECORD: MetaRecord = {
  spaces: ["lvm", "scsi"],
  phase: "open",
  round: "r1",
  expect: [],
  without: [],
  why: "",
};
const META = { key: "meta", value: encodeMeta(RECORD), changedAt: 2 };
const BUMP = { kind: "bump", meta: RECORD, metaAt: 2 };
const SEEN = { etcd: "7", session: 5, meta: 2, round: "r1" };
const NOTHING: SessionKeys = { meta: undefined, host: undefined, session: undefined };
const EXCHANGED = "etcd does not know this host any more: it was restored, emptied or exchanged";

const host = (session: string, boot = "b1", daemon: unknown = { place: "p", pid: 8, start: 40 }) => ({
  key: "host/h1",
  value: JSON.stringify({ session, boot, name: "kvm1", daemon }),
  changedAt: 4,
});
const session = (nonce: string, changed: { host?: string; boot?: string; fencing?: unknown } = {}) => ({
  key: "session/s1",
  value: JSON.stringify({ host: "h1", name: "kvm1", boot: "b1", nonce, ...changed }),
  changedAt: 5,
});

Deno.test("the first host makes the cluster, and then its session", () => {
  assert.deepEqual(nextStep(NOTHING, FACTS), { kind: "found" });
  assert.deepEqual(nextStep({ ...NOTHING, meta: META }, FACTS), BUMP);
});

Deno.test("a host that has locks, or was a member, closes the cluster of an etcd that does not know it", () => {
  for (const facts of [{ ...FACTS, keeps: true }, { ...FACTS, member: true, tried: new Set(["n"]) }]) {
    assert.deepEqual(nextStep(NOTHING, facts), { kind: "close", reason: EXCHANGED, meta: 0 });
    assert.deepEqual(nextStep({ ...NOTHING, meta: META }, facts), {
      kind: "close",
      reason: EXCHANGED,
      meta: 2,
    });
  }
});

Deno.test("a host with other lock directories is not admitted", () => {
  assert.deepEqual(nextStep({ ...NOTHING, meta: META }, { ...FACTS, spaces: ["scsi"] }), {
    kind: "wait",
    reason:
      "the other hosts lock lvm, scsi for the cluster, and this one scsi: make cluster_lockspaces and cluster_devices " +
      "alike. When they are what all hosts are to have, 'virtlockd cluster open --expect HOST,... --directories' on " +
      "this one has it so: docs/cluster-etcd.md",
  });
});

Deno.test("a host that locks nothing for the cluster is told so", () => {
  const step = nextStep({ ...NOTHING, meta: META }, { ...FACTS, spaces: [] });
  assert.ok(step.kind === "wait");
  assert.match(step.reason, /^the other hosts lock lvm, scsi for the cluster, and this one nothing: make /);
});

Deno.test("a host with other lock directories objects to being fenced, and knows what else was said of its session", () => {
  const condemned = { state: "condemned", by: "ann", from: "desk", at: 1 } as const;
  const fenced = { ...condemned, state: "fenced" } as const;
  const facts = { ...FACTS, spaces: ["leases", "lvm", "scsi"], member: true, tried: new Set(["n"]) };
  const kinds = [
    session("n"),
    session("n", { fencing: condemned }),
    session("n", { fencing: fenced }),
    session("another"),
    { ...session("n"), value: session("n").value.replace("{", '{"left":true,') },
  ].map((own) => nextStep({ meta: META, host: host("s1"), session: own }, facts).kind);
  assert.deepEqual(kinds, ["wait", "object", "fenced", "lost", "left"]);
  // One that has lost its note finds its session, and then the same.
  assert.deepEqual(
    nextStep({ meta: META, host: host("s0"), session: undefined }, {
      ...facts,
      member: false,
      tried: undefined,
    }),
    { kind: "other-session", session: "s0" },
  );
});

Deno.test("a daemon goes on with the session of the one before, whatever that wrote last", () => {
  assert.deepEqual(nextStep({ meta: META, host: host("s1"), session: session("old") }, FACTS), BUMP);
});

Deno.test("a host that has lost its note finds its session again within one boot", () => {
  assert.deepEqual(nextStep({ meta: META, host: host("s0"), session: undefined }, FACTS), {
    kind: "other-session",
    session: "s0",
  });
});

Deno.test("a copy on the same kernel does not go on with the session of a host that is heard of", () => {
  const running = host("s0", "b1", { place: "q", pid: 7, start: 40 });
  for (const heard of [running, { ...running, value: '{"session":"s0","boot":"b1","name":"kvm1"}' }]) {
    assert.equal(nextStep({ meta: META, host: heard, session: undefined }, FACTS).kind, "wait");
  }
});

Deno.test("a host that is heard of under the same id from another boot keeps this one out", () => {
  const step = nextStep({ meta: META, host: host("s0", "b0"), session: undefined }, FACTS);
  assert.deepEqual(step, {
    kind: "wait",
    reason:
      "another one that calls itself h1 ('kvm1') was heard of within 10 s: this host before it was started anew, " +
      "or a host with the same id, as a copy of its disk has. If that goes on, give each a cluster_host_id of its own",
  });
});

Deno.test("a member that finds another one's number in its session is lost: its copy is running", () => {
  const facts = { ...FACTS, member: true, tried: new Set(["n1", "n2"]) };
  assert.deepEqual(nextStep({ meta: META, host: host("s1"), session: session("n2") }, facts), BUMP);
  assert.deepEqual(nextStep({ meta: META, host: host("s1"), session: session("n3") }, facts), {
    kind: "lost",
    reason: "somebody else writes this host's session: a copy of this host is running",
  });
});

Deno.test("what an earlier life of the daemon has noted counts too: its copy's session is not gone on with", () => {
  const facts = { ...FACTS, tried: new Set(["n1"]) };
  const another = host("s0", "b1");
  assert.deepEqual(nextStep({ meta: META, host: host("s1"), session: session("n1") }, facts), BUMP);
  assert.equal(nextStep({ meta: META, host: host("s1"), session: session("n2") }, facts).kind, "lost");
  assert.equal(nextStep({ meta: META, host: another, session: undefined }, facts).kind, "wait");
  // What it has noted only, and not tried to write, says nothing of another session.
  const noted = { ...FACTS, tried: new Set<string>() };
  assert.equal(nextStep({ meta: META, host: another, session: undefined }, noted).kind, "other-session");
  // It was fenced with that one, and has noted the one that follows.
  const follows = { ...facts, session: "s0.2" };
  assert.deepEqual(nextStep({ meta: META, host: another, session: undefined }, follows), BUMP);
});

Deno.test("a session of another host or boot is nobody's to go on with", () => {
  for (const changed of [{ host: "h2" }, { boot: "b0" }]) {
    const step = nextStep({ meta: META, host: undefined, session: session("n", changed) }, FACTS);
    assert.equal(step.kind, "lost");
  }
});

Deno.test("a host that cannot read what all agree upon says so, writes nothing over it, and objects to being fenced", () => {
  const reason =
    "meta has version 3, and this daemon knows 2 (docs/cluster-etcd.md says what to do with such a key)";
  const meta = { ...META, value: '{"schema":3,"spaces":[]}' };
  const member = { ...FACTS, member: true, tried: new Set(["n"]) };
  const wait = { kind: "wait", reason };
  assert.deepEqual(nextStep({ ...NOTHING, meta }, FACTS), wait);
  // Nor where it would close the cluster, were it of its own version.
  assert.deepEqual(nextStep({ ...NOTHING, meta }, member), wait);
  assert.deepEqual(nextStep({ ...NOTHING, meta: { ...META, value: "x" } }, FACTS), {
    kind: "wait",
    reason: "meta holds no record (docs/cluster-etcd.md says what to do with such a key)",
  });
  const fencing = { state: "condemned", by: "ann", from: "desk", at: 1 } as const;
  const own = (said?: object) => ({ meta, host: host("s1"), session: session("n", { fencing: said }) });
  assert.deepEqual(nextStep(own(), member), wait);
  assert.deepEqual(nextStep(own(fencing), member), { kind: "object", reason, fencing, session: 5 });
  assert.equal(nextStep(own({ ...fencing, state: "fenced" }), member).kind, "fenced");
});

Deno.test("what etcd has of this host and cannot be read is an error that names its key", () => {
  const spoilt = { ...session("n"), value: "x" };
  assert.throws(() => nextStep({ meta: META, host: undefined, session: spoilt }, FACTS), {
    name: "RecordError",
    message: "session/s1 holds no record (docs/cluster-etcd.md says what to do with such a key)",
  });
});

Deno.test("what is older in etcd than this host has seen it was restored, whatever its revision is by now", () => {
  const keys = { meta: META, host: host("s1"), session: session("n1") };
  const facts = { ...FACTS, seen: SEEN };
  assert.deepEqual(nextStep(keys, facts), BUMP);
  assert.deepEqual(nextStep({ ...keys, session: { ...session("n1"), changedAt: 4 } }, facts), {
    kind: "close",
    reason:
      "etcd has this host's session of revision 4, and this host has seen it at 5: it was restored from an earlier state",
    meta: 2,
  });
  assert.deepEqual(nextStep(keys, { ...facts, seen: { ...SEEN, meta: 3 } }), {
    kind: "close",
    reason: "etcd has what all hosts agree upon of revision 2, and this host has seen it at 3: " +
      "it was restored from an earlier state",
    meta: 2,
  });
});

Deno.test("a host that has told that etcd was restored goes on with what there is of its session", () => {
  const facts = {
    ...FACTS,
    member: true,
    tried: new Set(["n9"]),
    seen: SEEN,
    changed: "gone back",
    told: true,
  };
  const keys = { meta: META, host: host("s1"), session: { ...session("n1"), changedAt: 3 } };
  assert.deepEqual(nextStep(keys, facts), BUMP);
  assert.deepEqual(nextStep({ ...keys, session: undefined }, facts), BUMP);
  assert.deepEqual(nextStep(keys, { ...facts, told: false }), {
    kind: "close",
    reason: "gone back",
    meta: 2,
  });
});

Deno.test("a session that was ended by a word is not written any more", () => {
  const left = { ...session("n1"), value: session("n1").value.replace("}", ',"left":true}') };
  assert.deepEqual(nextStep({ meta: META, host: undefined, session: left }, FACTS), {
    kind: "left",
    givenUp: { doubt: LEFT_BEHIND, at: 5 },
  });
});

Deno.test("a host that was left out when etcd was recovered puts nothing back, until it is started anew", () => {
  const meta = { ...META, value: encodeMeta({ ...RECORD, round: "r2", without: ["kvm1"] }) };
  const keys = { meta, host: undefined, session: undefined };
  for (
    const facts of [{ ...FACTS, keeps: true, seen: SEEN }, { ...FACTS, member: true, tried: new Set(["n"]) }]
  ) {
    const step = nextStep(keys, facts);
    assert.ok(step.kind === "lost");
    assert.deepEqual(step.givenUp, { doubt: LEFT_OUT, at: 2 });
  }
  assert.equal(nextStep(keys, FACTS).kind, "bump");
});

Deno.test("a host that is condemned writes its session anew, and one that is fenced needs another", () => {
  const said = (state: string) => ({ fencing: { state, by: "ann", from: "desk", at: 7 } });
  const facts = { ...FACTS, member: true, tried: new Set(["n"]) };
  const keys = { ...NOTHING, meta: META, host: host("s1") };
  assert.deepEqual(nextStep({ ...keys, session: session("n", said("condemned")) }, facts), BUMP);
  // Also when somebody else has written it, as a person has by hand.
  assert.deepEqual(nextStep({ ...keys, session: session("", said("fenced")) }, facts), {
    kind: "fenced",
    ...said("fenced"),
  });
});

Deno.test("what shows the session that a host had until it was fenced is no other host", () => {
  const facts = { ...FACTS, session: "s2", fenced: new Set(["s1"]) };
  assert.deepEqual(nextStep({ ...NOTHING, meta: META, host: host("s1") }, facts), BUMP);
  assert.equal(nextStep({ ...NOTHING, meta: META, host: host("s3", "b2") }, facts).kind, "wait");
});

Deno.test("a host whose place another one has objects to being fenced, as long as its session is its own", () => {
  const fencing = { state: "condemned", by: "ann", from: "desk", at: 1 } as const;
  const copied = { meta: META, host: host("s2", "b2"), session: session("n", { fencing }) };
  const member = { ...FACTS, member: true, tried: new Set(["n"]) };
  for (const facts of [FACTS, member]) {
    const { reason: _, ...step } = { reason: "", ...nextStep(copied, facts) };
    assert.deepEqual(step, { kind: "object", fencing, session: 5 });
  }
  // Nobody is about to fence it; a copy of its memory writes its session; it is too late.
  assert.equal(nextStep({ ...copied, session: session("n") }, member).kind, "wait");
  assert.equal(nextStep(copied, { ...FACTS, member: true, tried: new Set(["other"]) }).kind, "wait");
  const fenced = session("n", { fencing: { ...fencing, state: "fenced" } });
  assert.equal(nextStep({ ...copied, session: fenced }, member).kind, "wait");
});
