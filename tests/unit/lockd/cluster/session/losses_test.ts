import assert from "node:assert/strict";
import {
  HELD_BY_ANOTHER,
  LOST_MEANWHILE,
  lostWhenFenced,
} from "../../../../../src/lockd/cluster/session/doubts.ts";
import { Losses } from "../../../../../src/lockd/cluster/session/losses.ts";
import type { Seen } from "../../../../../src/lockd/cluster/host/membership_file.ts";

const SEEN: Seen = { etcd: "7", session: 12, meta: 3, round: "r1", settled: true };

Deno.test("a host has lost what others have when all that it had was in etcd before, in the same round", () => {
  const first = new Losses(undefined);
  assert.deepEqual([first.reasonIn("r1"), first.isSettled("r1")], [HELD_BY_ANOTHER, false]);
  first.settled("r1");
  assert.deepEqual([first.isSettled("r1"), first.isSettled("r2")], [true, false]);
  const next = new Losses({ session: "s", seen: SEEN });
  assert.deepEqual([next.reasonIn("r1"), next.reasonIn("r2")], [LOST_MEANWHILE, HELD_BY_ANOTHER]);
  assert.equal(
    new Losses({ session: "s", seen: { ...SEEN, settled: false } }).reasonIn("r1"),
    HELD_BY_ANOTHER,
  );
  // Of a session that was begun anew and never written.
  assert.equal(new Losses({ session: "s", seen: { ...SEEN, session: 0 } }).reasonIn("r1"), HELD_BY_ANOTHER);
});

Deno.test("a host that was fenced has lost what others have, until it has put in what is left, and in any round", () => {
  const losses = new Losses({ session: "s", seen: SEEN });
  losses.fenced("ann");
  assert.deepEqual([losses.reasonIn("r1"), losses.reasonIn("r2")], [
    lostWhenFenced("ann"),
    lostWhenFenced("ann"),
  ]);
  assert.equal(losses.isSettled("r1"), false);
  losses.settled("r1");
  assert.equal(losses.reasonIn("r2"), HELD_BY_ANOTHER);
  assert.equal(
    new Losses({ session: "s.2", seen: { ...SEEN, session: 0 } }).reasonIn("r1"),
    lostWhenFenced(""),
  );
  assert.equal(new Losses({ session: "s.2" }).reasonIn("r1"), lostWhenFenced(""));
  assert.equal(new Losses({ session: "s.2", seen: SEEN }).reasonIn("r1"), LOST_MEANWHILE);
});

Deno.test("a host that was fenced once has lost nothing when its daemon is killed while etcd is recovered", () => {
  const { settled: _, ...recovering } = { ...SEEN, round: "r2" };
  assert.equal(new Losses({ session: "s.2", seen: recovering }).reasonIn("r2"), HELD_BY_ANOTHER);
  // Killed before it has put in what it has, since it was fenced.
  const losses = new Losses({ session: "s.2", seen: { ...recovering, fenced: "ann" } });
  assert.deepEqual([losses.fencedBy, losses.reasonIn("r2")], ["ann", lostWhenFenced("ann")]);
  losses.settled("r2");
  assert.equal(losses.fencedBy, undefined);
});

Deno.test("a host whose daemon is killed while it joins for the first time has missed nothing in that round", () => {
  const first = { etcd: "7", session: 12, meta: 3, round: "r1", first: true };
  const losses = new Losses(undefined);
  assert.deepEqual(losses.noted("r1", undefined), { first: true });
  losses.settled("r1");
  assert.deepEqual(losses.noted("r1", first), { first: true });
  const next = new Losses({ session: "s", seen: first });
  assert.deepEqual([next.pastIn("r1"), next.pastIn("r2")], ["first", "missed"]);
  assert.deepEqual([next.noted("r1", first), next.noted("r2", first)], [{ first: true }, {}]);
  next.settled("r1");
  assert.deepEqual([next.pastIn("r1"), next.pastIn("r2")], ["known", "missed"]);
  next.fenced("ann");
  assert.deepEqual([next.pastIn("r1"), next.noted("r1", first)], ["missed", { fenced: "ann" }]);
  // It was made to leave before it had put in all.
  assert.equal(new Losses({ session: "s", seen: { ...first, session: 0 } }).pastIn("r1"), "missed");
});

Deno.test("that a host has settled what it has is noted behind what was in doubt, and who has fenced it until then", () => {
  const { settled: _, ...written } = SEEN;
  const losses = new Losses({ session: "s", seen: SEEN });
  assert.deepEqual(losses.noted("r1", SEEN), { settled: true });
  assert.deepEqual(losses.noted("r2", SEEN), {});
  losses.fenced("ann");
  assert.deepEqual(losses.noted("r1", { ...SEEN, session: 0 }), { fenced: "ann" });
  losses.settled("r1");
  // Written once more right behind that, it is still to be recorded.
  assert.deepEqual(losses.noted("r1", { ...written, fenced: "ann" }), { fenced: "ann" });
  assert.deepEqual(losses.noted("r1", SEEN), { settled: true });
  assert.deepEqual(new Losses({ session: "s", seen: written }).noted("r1", written), {});
});

Deno.test("a host that joins for the first time has missed nothing, and one that was ever on the way to be a member may have", () => {
  const first = new Losses(undefined);
  assert.equal(first.pastIn("r1"), "first");
  first.settled("r1");
  assert.deepEqual([first.pastIn("r1"), first.pastIn("r2")], ["known", "missed"]);
  const found = new Losses(undefined);
  found.goesOn();
  assert.equal(found.pastIn("r1"), "known");
  // It had put in some of what it has, or all, by then, and others may have got that.
  const fenced = new Losses(undefined);
  fenced.fenced("ann");
  assert.equal(fenced.pastIn("r1"), "missed");
  assert.equal(new Losses({ session: "s" }).pastIn("r1"), "known");
  assert.equal(new Losses({ session: "s.2", nonces: ["n1"] }).pastIn("r1"), "known");
  // It has not written anything yet, as far as it knows, and so has put in nothing.
  assert.equal(new Losses({ session: "s", nonces: ["n1"] }).pastIn("r1"), "first");
  assert.deepEqual(["r1", "r2"].map((round) => new Losses({ session: "s", seen: SEEN }).pastIn(round)), [
    "known",
    "missed",
  ]);
});
