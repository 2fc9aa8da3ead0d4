import assert from "node:assert/strict";
import { OwnSession } from "../../../../../src/lockd/cluster/session/own_session.ts";

const SEEN = { etcd: "e", session: 7, meta: 5, round: "r" };

Deno.test("a session that is tried is this host's own only when it was written once", () => {
  const own = new OwnSession({ session: "s" });
  own.tries("a");
  assert.deepEqual([own.member, own.tried], [false, undefined]);
  own.written("a", "lease", 2, "ip=10.0.0.7");
  assert.equal(own.data, "ip=10.0.0.7");
  assert.deepEqual([own.member, [...own.tried ?? []], own.lease, own.lost], [true, ["a"], "lease", 2]);
});

Deno.test("all that may be there by now is known, until one is there for certain", () => {
  const own = new OwnSession({ session: "s" });
  own.tries("a");
  own.written("a", "l1", 0);
  own.tries("b");
  own.tries("c");
  own.notWritten("c");
  assert.deepEqual([...own.tried ?? []], ["a", "b"]);
  own.tries("d");
  own.written("d", "l2", 0);
  assert.deepEqual([...own.tried ?? []], ["d"]);
});

Deno.test("a host that was fenced follows itself, and has written nothing there yet", () => {
  const own = new OwnSession({ session: "s", seen: SEEN });
  own.tries("a");
  own.written("a", "lease", 0);
  own.follow();
  assert.notEqual(own.id, "s");
  assert.deepEqual([...own.fenced], ["s"]);
  assert.deepEqual([own.member, own.tried, own.lease], [false, new Set(), undefined]);
  assert.deepEqual(own.seen, { ...SEEN, session: 0 });
});

Deno.test("what an earlier life may have written counts, and where nobody knows that, what this one tries is not all", () => {
  const known = new OwnSession({ session: "s", nonces: ["a", "b"] });
  known.tries("c");
  assert.deepEqual(known.tried, new Set(["a", "b", "c"]));
  assert.deepEqual(known.note, { session: "s", nonces: ["a", "b", "c"] });
  const unknown = new OwnSession({ session: "s", seen: SEEN });
  unknown.tries("c");
  assert.deepEqual([unknown.tried, unknown.note], [undefined, { session: "s", seen: SEEN }]);
  unknown.written("c", "lease", 0);
  assert.deepEqual(unknown.note, { session: "s", seen: SEEN, nonces: ["c"] });
  // The note was lost: so was what it said.
  known.goOnWith("t");
  assert.deepEqual(known.note, { session: "t" });
});

Deno.test("another session that is begun was never seen, one that is gone on with was", () => {
  const anew = new OwnSession({ session: "s", seen: SEEN });
  anew.startAnew("t");
  assert.deepEqual([anew.id, anew.seen], ["t", { ...SEEN, session: 0 }]);
  const on = new OwnSession({ session: "s", seen: SEEN });
  on.goOnWith("t");
  assert.deepEqual([on.id, on.seen], ["t", SEEN]);
});

Deno.test("that etcd is another one counts, and has to be told, until this host is in what there is", () => {
  const own = new OwnSession({ session: "s" });
  own.differs("restored");
  own.wasTold();
  assert.deepEqual([own.changed, own.told], ["restored", true]);
  own.differs("exchanged");
  assert.deepEqual([own.changed, own.told], ["exchanged", false]);
  own.arrived(SEEN);
  assert.deepEqual([own.changed, own.told, own.seen], [undefined, false, SEEN]);
});

Deno.test("a lease ends once, and an older one says nothing of the one that there is", () => {
  const own = new OwnSession({ session: "s" });
  own.written("a", "l2", 0);
  assert.deepEqual([own.unleased("l1"), own.lease], [false, "l2"]);
  assert.deepEqual([own.unleased("l2"), own.lease], [true, undefined]);
  assert.equal(own.unleased("l2"), false);
});
