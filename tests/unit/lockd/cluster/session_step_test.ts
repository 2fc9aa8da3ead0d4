import assert from "node:assert/strict";
import { nextStep, type SessionFacts, type SessionKeys } from "../../../../src/lockd/cluster/session_step.ts";

const FACTS: SessionFacts = {
  host: { id: "h1", name: "kvm1", boot: "b1" },
  spaces: ["lvm", "scsi"],
  session: "s1",
  nonces: undefined,
  keeps: false,
};
const META = { key: "meta", value: '{"schema":1,"spaces":["lvm","scsi"]}', changedAt: 2 };
const NOTHING: SessionKeys = { meta: undefined, host: undefined, session: undefined };
const EXCHANGED = "etcd does not know this host any more: it was restored, emptied or exchanged";

const host = (session: string, boot = "b1") => ({
  key: "host/h1",
  value: JSON.stringify({ session, boot, name: "kvm1" }),
  changedAt: 4,
});
const session = (nonce: string, changed: { host?: string; boot?: string } = {}) => ({
  key: "session/s1",
  value: JSON.stringify({ host: "h1", name: "kvm1", boot: "b1", nonce, ...changed }),
  changedAt: 5,
});

Deno.test("the first host makes the cluster, and then its session", () => {
  assert.deepEqual(nextStep(NOTHING, FACTS), { kind: "found" });
  assert.deepEqual(nextStep({ ...NOTHING, meta: META }, FACTS), { kind: "bump", meta: 2 });
});

Deno.test("a host that has locks, or was a member, does not begin anew in an empty etcd", () => {
  for (const facts of [{ ...FACTS, keeps: true }, { ...FACTS, nonces: new Set(["n"]) }]) {
    assert.deepEqual(nextStep(NOTHING, facts), { kind: "lost", reason: EXCHANGED });
    assert.deepEqual(nextStep({ ...NOTHING, meta: META }, facts), { kind: "lost", reason: EXCHANGED });
  }
});

Deno.test("a host with other lock directories is not admitted", () => {
  assert.deepEqual(nextStep({ ...NOTHING, meta: META }, { ...FACTS, spaces: ["scsi"] }), {
    kind: "wait",
    reason:
      "the other hosts lock lvm, scsi for the cluster, and this one scsi: make cluster_lockspaces alike",
  });
});

Deno.test("a daemon goes on with the session of the one before, whatever that wrote last", () => {
  assert.deepEqual(nextStep({ meta: META, host: host("s1"), session: session("old") }, FACTS), {
    kind: "bump",
    meta: 2,
  });
});

Deno.test("a host that has lost its note finds its session again within one boot", () => {
  assert.deepEqual(nextStep({ meta: META, host: host("s0"), session: undefined }, FACTS), {
    kind: "other-session",
    session: "s0",
  });
});

Deno.test("a host that is heard of under the same id from another boot keeps this one out", () => {
  const step = nextStep({ meta: META, host: host("s0", "b0"), session: undefined }, FACTS);
  assert.deepEqual(step, {
    kind: "wait",
    reason:
      "another one that calls itself h1 ('kvm1') was heard of within 10 s: this host before it was started anew, " +
      "or a host with the same id",
  });
});

Deno.test("a member that finds another one's number in its session is lost: its copy is running", () => {
  const facts = { ...FACTS, nonces: new Set(["n1", "n2"]) };
  assert.deepEqual(nextStep({ meta: META, host: host("s1"), session: session("n2") }, facts), {
    kind: "bump",
    meta: 2,
  });
  assert.deepEqual(nextStep({ meta: META, host: host("s1"), session: session("n3") }, facts), {
    kind: "lost",
    reason: "somebody else writes this host's session: a copy of this host is running",
  });
});

Deno.test("a session of another host or boot is nobody's to go on with", () => {
  for (const changed of [{ host: "h2" }, { boot: "b0" }]) {
    const step = nextStep({ meta: META, host: undefined, session: session("n", changed) }, FACTS);
    assert.equal(step.kind, "lost");
  }
});

Deno.test("what is in etcd and cannot be read is an error that names its key", () => {
  const meta = { ...META, value: '{"schema":2,"spaces":[]}' };
  assert.throws(() => nextStep({ ...NOTHING, meta }, FACTS), {
    name: "RecordError",
    message: "meta has version 2, and this daemon knows 1",
  });
  assert.throws(() => nextStep({ ...NOTHING, meta: { ...META, value: "x" } }, FACTS), {
    message: "meta holds no record",
  });
});
