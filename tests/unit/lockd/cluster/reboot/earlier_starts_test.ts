import assert from "node:assert/strict";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { MACHINE, StartedHosts } from "../../../../support/started_host.ts";

Deno.test("a host that was started again frees what it had before, before it is a member", () => {
  const hosts = new StartedHosts();
  const before = hosts.crashed({ boot: "b1" }, "one", "two");
  const after = hosts.start({ boot: "b2" });
  hosts.pass(15);
  // Nothing is final before an earlier start has had time to object.
  assert.equal(hosts.record(before.session.id).fencing?.state, "condemned");
  assert.equal(after.session.state.kind, "joining");
  assert.ok(after.session.joining > 0);
  hosts.pass(10);
  const { fencing, machine, boot } = hosts.record(before.session.id);
  const { at, ...said } = fencing ?? { at: 0 };
  assert.deepEqual([said, machine, boot], [
    { state: "fenced", by: "the host itself after a reboot", from: "h1", boot: "b2" },
    MACHINE,
    "b1",
  ]);
  assert.ok(at > 0);
  assert.deepEqual(after.told, ["ended b1, 2 locks", "joined"]);
  assert.deepEqual([hosts.locks, hosts.etcd.keys("/own/")], [[], []]);
  assert.equal(after.session.state.kind, "live");
  assert.deepEqual(after.earlier.status, { state: "trusted", fenced: 1, kept: [] });
});

Deno.test("a start that has left nothing is taken off the list, is not fenced, and nobody waits for it", () => {
  const hosts = new StartedHosts();
  const before = hosts.crashed({ boot: "b1" });
  hosts.etcd.put(hosts.keys.silence(before.session.id), '{"since":1}');
  const other = hosts.start({ boot: "b9", host: "h2", machine: { board: "c", whole: "x" } });
  const after = hosts.start({ boot: "b2" });
  hosts.pass(14);
  assert.deepEqual([after.session.state.kind, after.told], ["live", ["joined"]]);
  const { session } = hosts.keys;
  assert.deepEqual(
    hosts.etcd.keys("/session/"),
    [after, other].map((host) => session.call(hosts.keys, host.session.id)).toSorted(),
  );
  assert.deepEqual(hosts.etcd.keys("/silent/"), []);
});

Deno.test("a start that has left nothing stays on the list where it may be another machine's, or somebody has spoken of it", () => {
  const untrusted = { kind: "untrusted", reason: "this is a container" } as const;
  for (const more of [{ trust: untrusted }, { machine: { board: "b", whole: "another" } }]) {
    const hosts = new StartedHosts();
    const before = hosts.crashed({ boot: "b1" });
    const after = hosts.start({ boot: "b2", ...more });
    hosts.pass(14);
    assert.equal(after.session.state.kind, "live");
    assert.equal(hosts.record(before.session.id).boot, "b1");
  }
  for (const state of ["condemned", "fenced"] as const) {
    const hosts = new StartedHosts();
    const before = hosts.crashed({ boot: "b1" });
    const fencing = { state, by: "ann", from: "desk", at: 1 };
    const key = hosts.keys.session(before.session.id);
    hosts.etcd.put(key, encodeRecord({ ...hosts.record(before.session.id), fencing }));
    hosts.start({ boot: "b2" });
    hosts.pass(14);
    assert.equal(hosts.record(before.session.id).fencing?.state, state);
  }
});

Deno.test("a start that gets something, or is written, at the very moment in which it is taken off the list stays", () => {
  for (const change of ["lock", "session"] as const) {
    const hosts = new StartedHosts();
    const before = hosts.crashed({ boot: "b1" });
    const key = hosts.keys.session(before.session.id);
    const after = hosts.start({ boot: "b2" });
    hosts.before = (question) => {
      if (question.kind !== "transaction") return;
      if (!question.transaction.success.some((each) => each.op === "delete" && each.key === key)) return;
      hosts.before = () => {};
      if (change === "lock") hosts.lock(before, "one");
      else hosts.etcd.put(key, encodeRecord({ ...hosts.record(before.session.id), nonce: "anew" }));
    };
    hosts.pass(14);
    assert.equal(hosts.record(before.session.id).boot, "b1");
    assert.deepEqual([after.session.state.kind, hosts.locks.length], ["live", change === "lock" ? 1 : 0]);
  }
});

Deno.test("a host that was stopped in order with guests, and then started again, frees what they had", () => {
  const hosts = new StartedHosts();
  const before = hosts.start({ boot: "b1" });
  hosts.pass(2);
  hosts.lock(before, "one");
  before.session.retire(() => {});
  hosts.pass(2);
  assert.equal(hosts.record(before.session.id).quiet, true);
  const after = hosts.start({ boot: "b2" });
  hosts.pass(30);
  assert.deepEqual(after.told, ["ended b1, 1 locks", "joined"]);
  assert.deepEqual(hosts.locks, []);
});

Deno.test("all starts before are ended, and marks of guests that were paused go with their locks", () => {
  const hosts = new StartedHosts();
  const first = hosts.crashed({ boot: "b1" }, "one");
  const { id } = first.session;
  const mark = hosts.keys.paused({ space: "scsi", name: "two" }, id, { pid: 12, start: 5, uuid: "u" });
  const value = encodeRecord({
    session: id,
    attempt: "a",
    domain: "d",
    uuid: "u",
    pid: 12,
    start: 5,
    since: 1,
  });
  hosts.etcd.put(mark, value);
  hosts.etcd.put(hosts.keys.own(id, mark), value);
  hosts.etcd.put(hosts.keys.silence(id), '{"since":1}');
  // It loses its power again, before it has done anything.
  hosts.pass(12);
  const second = hosts.start({ boot: "b2" });
  hosts.pass(2);
  hosts.lock(second, "three");
  second.session.close();
  second.cut = true;
  const third = hosts.start({ boot: "b3" });
  hosts.pass(40);
  assert.deepEqual(
    third.told,
    ["ended b1, 2 locks", "ended b2, 1 locks", "joined"].toSorted((a, b) => {
      const order = third.told;
      return order.indexOf(a) - order.indexOf(b);
    }),
  );
  assert.deepEqual(
    ["/lock/", "/own/", "/paused/", "/silent/"].flatMap((part) => hosts.etcd.keys(part)),
    [],
  );
});

Deno.test("an earlier start that is not trusted keeps what it has, and the host is a member at once", () => {
  const hosts = new StartedHosts();
  const before = hosts.crashed({ boot: "b1" }, "one");
  const after = hosts.start({ boot: "b2", trust: { kind: "untrusted", reason: "this is a container" } });
  hosts.pass(14);
  const kept = { session: before.session.id, boot: "b1", locks: 1, reason: "this is a container" };
  assert.deepEqual([after.session.state.kind, after.told, after.kept], [
    "live",
    ["kept b1", "joined"],
    [kept],
  ]);
  assert.deepEqual(after.earlier.status, {
    state: "untrusted",
    reason: "this is a container",
    fenced: 0,
    kept: [kept],
  });
  assert.equal(hosts.record(before.session.id).fencing, undefined);
  // Somebody says so; the status forgets it.
  const record = hosts.record(before.session.id);
  const fencing = { state: "fenced", by: "ann", from: "desk", at: 1 } as const;
  hosts.etcd.put(hosts.keys.session(before.session.id), encodeRecord({ ...record, fencing }));
  hosts.pass(70);
  assert.deepEqual(after.earlier.status.kept, []);
});

Deno.test("a copy of the host's disk in another machine fences nobody", () => {
  const hosts = new StartedHosts();
  const original = hosts.start({ boot: "b1" });
  hosts.pass(2);
  hosts.lock(original, "one");
  // It is cut off from etcd, and its guests are well.
  original.cut = true;
  hosts.pass(12);
  const copy = hosts.start({ boot: "b2", machine: { board: "c", whole: "x" } });
  hosts.pass(60);
  assert.match(copy.kept[0]?.reason ?? "", /^it was on another machine, which may run still/);
  assert.equal(hosts.record(original.session.id).fencing, undefined);
  assert.equal(hosts.locks.length, 1);
});

Deno.test("a process of the start before that may live is a sign that it was none", () => {
  const hosts = new StartedHosts();
  hosts.crashed({ boot: "b1" }, "one");
  const after = hosts.start({ boot: "b2", living: new Set([11]) });
  hosts.pass(60);
  assert.equal(
    after.kept[0]?.reason,
    "a process of it, 11 of domain 'web', may run here, which none can that has begun before a reboot",
  );
  assert.equal(hosts.locks.length, 1);
});

Deno.test("a daemon that has lost its note, in the same start, ends nothing", () => {
  const hosts = new StartedHosts();
  const before = hosts.crashed({ boot: "b1" }, "one");
  const next = hosts.start({ boot: "b1" });
  hosts.pass(60);
  assert.notEqual(next.session.id, before.session.id);
  assert.deepEqual([next.told, hosts.locks.length], [["joined"], 1]);
});

Deno.test("whom somebody else has condemned is fenced by whoever comes first, and by the same word", () => {
  const hosts = new StartedHosts();
  const before = hosts.crashed({ boot: "b1" }, "one");
  const key = hosts.keys.session(before.session.id);
  const word = { by: "virtlockd", from: "kvm8", at: 1, command: "/fence" };
  const condemned = { ...hosts.record(before.session.id), fencing: { state: "condemned", ...word } } as const;
  hosts.etcd.put(key, encodeRecord(condemned));
  const after = hosts.start({ boot: "b2" });
  hosts.pass(15);
  // The program has succeeded meanwhile.
  hosts.etcd.put(key, encodeRecord({ ...condemned, fencing: { state: "fenced", ...word } }));
  hosts.pass(15);
  assert.deepEqual([after.told, after.earlier.status.fenced], [["joined"], 0]);
  assert.equal(hosts.record(before.session.id).fencing?.by, "virtlockd");
});

Deno.test("a host that could not take all away goes on after the next start of its daemon", () => {
  const hosts = new StartedHosts();
  const before = hosts.crashed({ boot: "b1" }, "one", "two");
  const first = hosts.start({ boot: "b2" });
  while (hosts.record(before.session.id).fencing?.state !== "fenced") hosts.time.advance();
  first.session.close();
  first.cut = true;
  assert.equal(hosts.locks.length, 2);
  const next = hosts.start({ boot: "b2" });
  hosts.pass(30);
  assert.deepEqual([next.told, hosts.locks, hosts.etcd.keys("/own/")], [["joined"], [], []]);
});

Deno.test("an etcd that is away in between costs time, and nothing else", () => {
  const hosts = new StartedHosts();
  hosts.crashed({ boot: "b1" }, "one");
  const after = hosts.start({ boot: "b2" });
  hosts.pass(14);
  after.cut = true;
  hosts.pass(15);
  assert.equal(hosts.locks.length, 1);
  after.cut = false;
  hosts.pass(40);
  assert.deepEqual(after.told.slice(0, 1), ["ended b1, 1 locks"]);
  assert.deepEqual([after.session.state.kind, hosts.locks], ["live", []]);
});

Deno.test("an original that is back when a copy of it condemns it objects, and keeps its locks", () => {
  const hosts = new StartedHosts();
  const original = hosts.start({ boot: "b1" });
  hosts.pass(2);
  hosts.lock(original, "one");
  original.cut = true;
  hosts.pass(12);
  // Nothing tells the two apart: a virtual machine that was started from a copy.
  const copy = hosts.start({ boot: "b2" });
  while (hosts.record(original.session.id).fencing === undefined) hosts.time.advance();
  original.cut = false;
  hosts.pass(30);
  assert.equal(hosts.record(original.session.id).fencing, undefined);
  assert.deepEqual(hosts.locks.length, 1);
  assert.deepEqual(original.told.slice(0, 2), ["joined", "condemned by the host itself after a reboot"]);
  assert.match(copy.kept[0]?.reason ?? "", /^its session was written anew when it was condemned: it lives/);
  assert.deepEqual([original.session.state.kind, copy.session.state.kind], ["unsure", "live"]);
  // Also in its next round, and when it goes on.
  copy.session.doubt("why ever");
  hosts.pass(30);
  assert.deepEqual([hosts.locks.length, copy.earlier.status.fenced], [1, 0]);
});
