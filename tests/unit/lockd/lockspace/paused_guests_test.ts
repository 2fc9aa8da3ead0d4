import assert from "node:assert/strict";
import { GrantTrail } from "../../../../src/lockd/lockspace/grant_trail.ts";
import { ALPHA, BETA, SHARED, Table } from "./table_fixture.ts";

Deno.test("LockTable grants an owner again what it got over a connection that was refused more, once that is closed", () => {
  const it = new Table();
  it.hold("/second", 6, BETA);
  const trail = new GrantTrail();
  it.acquireOver(trail, "/disk");
  it.files.grant(5);
  assert.equal(it.acquireOver(trail, "/second")[0]?.kind, "held");
  // Perhaps libvirt asks again over the same connection: it knows what it has got there.
  assert.equal(it.acquireOver(trail, "/disk")[0]?.kind, "held");
  it.table.abandon(trail);
  assert.deepEqual(it.events.splice(0).slice(-1), ["regrantable /disk"]);
  assert.equal(it.acquire("/disk", BETA)[0]?.kind, "held");
  assert.deepEqual(it.acquire("/disk"), [undefined]);
  assert.deepEqual(it.events.slice(-1), ["regranted /disk"]);
  // As one holding: it is released once, and asked for again it is refused.
  assert.equal(it.acquire("/disk")[0]?.kind, "held");
  it.releaseNow("/disk");
  assert.equal(it.table.resourceCount, 1);
});

Deno.test("LockTable grants an owner again what was attached to it while its guest was paused", () => {
  const it = new Table();
  it.live(ALPHA, "/disk", "/attached");
  it.hold("/disk", 5);
  it.releaseNow("/disk");
  it.hold("/attached", 6);
  const resume = new GrantTrail();
  it.acquireOver(resume, "/disk");
  it.files.grant(5);
  assert.deepEqual(it.acquireOver(resume, "/attached"), [undefined]);
  assert.equal(it.acquireOver(resume, "/attached")[0]?.kind, "held");
});

Deno.test("LockTable refuses an owner what it has when its only disk was detached, and another one attached", () => {
  const it = new Table();
  it.live(ALPHA, "/attached");
  it.open.set("100 /disk", "not-open");
  it.hold("/disk", 5);
  it.releaseNow("/disk");
  it.hold("/attached", 6);
  assert.equal(it.acquire("/attached")[0]?.kind, "held");
  // Attached again, over a connection of its own, the first one is open, but says nothing of then.
  it.hold("/disk", 5);
  it.open.set("100 /disk", "open");
  assert.equal(it.acquire("/attached")[0]?.kind, "held");
});

Deno.test("LockTable grants an owner again what it has not open for writing, and refuses what it has", () => {
  const it = new Table();
  it.live(ALPHA);
  it.hold("/disk", 5);
  for (const opened of ["open", "unknown"] as const) {
    it.open.set("100 /disk", opened);
    assert.equal(it.acquire("/disk")[0]?.kind, "held");
  }
  it.open.set("100 /disk", "not-open");
  assert.deepEqual(it.acquire("/disk"), [undefined]);
  assert.deepEqual(it.acquire("/disk", ALPHA, SHARED)[0]?.kind, "held");
  it.alive.clear();
  assert.equal(it.acquire("/disk")[0]?.kind, "held");
});

/** Alpha is paused, and beta uses its disk. */
function usedMeanwhile(it: Table, trail = new GrantTrail()): void {
  it.live(ALPHA, "/disk");
  it.hold("/disk", 5);
  it.releaseNow("/disk");
  it.acquireOver(trail, "/disk", BETA);
  it.files.grant(5);
}

Deno.test("LockTable refuses to resume a guest whose disk another domain has used, and says who and when", () => {
  const it = new Table();
  usedMeanwhile(it);
  assert.deepEqual(it.events.slice(-2), ["granted /disk beta", "parked /disk alpha used by beta"]);
  it.releaseNow("/disk", BETA);
  const refusal = {
    kind: "used-meanwhile",
    resource: "/disk",
    owner: ALPHA,
    use: { owner: BETA, since: 5000 },
  };
  assert.deepEqual(it.acquire("/disk"), [refusal]);
  assert.deepEqual(it.acquire("/disk"), [refusal]);
  it.staleResumeAllowed = true;
  const allowed = it.acquire("/disk");
  it.files.grant(5);
  assert.deepEqual(allowed, [undefined]);
  assert.deepEqual(it.events.slice(-3), ["granted /disk alpha", "unjudged /disk", "unparked /disk alpha"]);
});

Deno.test("LockTable refuses to resume a guest over what another domain has written, that was paused with a lost lock", () => {
  const it = new Table();
  it.live(ALPHA, "/disk");
  it.table.restoreResource({
    id: 1,
    lockspace: "",
    name: "/disk",
    path: "/disk",
    handle: { kind: "none", place: -1 },
    shared: false,
    autocreate: false,
    holdings: [{ owner: ALPHA, since: 1 }],
    state: { kind: "lost", reason: "its file is another one" },
  });
  assert.deepEqual(it.release("/disk"), [undefined]);
  it.hold("/disk", 5, BETA);
  it.releaseNow("/disk", BETA);
  assert.equal(it.acquire("/disk")[0]?.kind, "used-meanwhile");
});

Deno.test("LockTable lets a disk be attached again that another domain has used, and warns where it cannot tell", () => {
  for (const [opened, warned] of [["not-open", true], ["unknown", true]] as const) {
    const it = new Table();
    usedMeanwhile(it);
    it.releaseNow("/disk", BETA);
    it.open.set("100 /disk", opened);
    const granted = it.acquire("/disk");
    it.files.grant(5);
    assert.deepEqual(granted, [undefined]);
    assert.equal(it.events.includes("unjudged /disk"), warned && opened === "unknown");
  }
});

Deno.test("LockTable does not take a guest that was not started for one that used a disk", () => {
  const it = new Table();
  const start = new GrantTrail();
  usedMeanwhile(it, start);
  assert.equal(it.acquireOver(start, "..\0", BETA)[0]?.kind, "bad-name");
  assert.deepEqual(it.events.slice(-1), ["parked /disk alpha"]);
  it.table.abandon(start);
  it.releaseNow("/disk", BETA);
  const resumed = it.acquire("/disk");
  it.files.grant(5);
  assert.deepEqual(resumed, [undefined]);
});

Deno.test("LockTable lets the same domain, sharers and a guest that ended use a disk of a paused one", () => {
  const same = new Table();
  same.live(ALPHA, "/disk");
  same.hold("/disk", 5);
  same.releaseNow("/disk");
  same.hold("/disk", 5, { ...BETA, uuid: ALPHA.uuid });
  same.releaseNow("/disk", { ...BETA, uuid: ALPHA.uuid });
  same.hold("/disk", 5);
  const shared = new Table();
  shared.live(ALPHA, "/disk");
  shared.hold("/disk", 5);
  shared.releaseNow("/disk");
  shared.hold("/disk", 5, BETA, SHARED);
  shared.releaseNow("/disk", BETA);
  shared.hold("/disk", 5);
  const ended = new Table();
  usedMeanwhile(ended);
  ended.table.ended(100);
  assert.deepEqual(ended.events.slice(-1), ["unparked /disk alpha"]);
  assert.deepEqual([...ended.table.parked.all()], []);
});

Deno.test("LockTable refuses to resume a guest whose disk somebody may have used, of whom nothing is known", () => {
  const it = new Table();
  it.live(ALPHA, "/disk");
  it.hold("/disk", 5);
  it.releaseNow("/disk");
  assert.deepEqual(it.table.parked.overtaken("/other", ALPHA), []);
  assert.equal(it.table.parked.overtaken("/disk", ALPHA).length, 1);
  const [refusal] = it.acquire("/disk");
  assert.ok(refusal?.kind === "used-meanwhile");
  assert.deepEqual([refusal.use.owner.name, refusal.use.since], ["(not known any more)", 0]);
  // Who is known to have used it stays known.
  assert.deepEqual(it.table.parked.overtaken("/disk", ALPHA), []);
});

Deno.test("LockTable counts a lock as used that its owner gets after all, though it was refused another one before", () => {
  for (const again of [false, true]) {
    const it = new Table();
    it.live(BETA, "/disk");
    it.hold("/disk", 5, BETA);
    it.releaseNow("/disk", BETA);
    it.hold("/second", 6, BETA);
    const trail = new GrantTrail();
    it.acquireOver(trail, "/disk");
    it.files.grant(5);
    assert.equal(it.acquireOver(trail, "/second")[0]?.kind, "held");
    it.table.abandon(trail);
    if (again) assert.deepEqual(it.acquire("/disk"), [undefined]);
    it.releaseNow("/disk");
    const resumed = it.acquire("/disk", BETA);
    assert.equal(resumed[0]?.kind, again ? "used-meanwhile" : undefined);
  }
});

Deno.test("LockTable takes a guest for one that is resumed though the release of another lock takes its time", () => {
  const it = new Table();
  it.hold("/slow", 6);
  assert.deepEqual(it.release("/slow"), []);
  it.acquire("/disk");
  assert.equal(it.files.locks[0]?.request.resumed?.(), true);
  // One that has another disk runs, and has this one attached.
  const running = new Table();
  running.hold("/other", 6);
  running.acquire("/disk");
  assert.equal(running.files.locks[0]?.request.resumed?.(), false);
});

Deno.test("LockTable takes a disk for attached anew that was detached from a guest which had been resumed", () => {
  const it = new Table();
  it.live(ALPHA, "/disk", "/other");
  for (const lap of ["started", "resumed"]) {
    it.hold("/disk", 5);
    it.hold("/other", 6);
    if (lap === "resumed") break;
    for (const disk of ["/disk", "/other"]) it.releaseNow(disk);
  }
  it.releaseNow("/disk");
  it.acquire("/disk");
  // Whoever has had the disk meanwhile has not written behind the guest, which had it no more.
  assert.equal(it.files.locks[0]?.request.resumed?.(), false);
  assert.deepEqual(it.events.filter((event) => event.startsWith("went")), ["went on /other"]);
});

Deno.test("LockTable takes a guest for a paused one still when a disk is detached that was attached meanwhile", () => {
  const it = new Table();
  it.live(ALPHA, "/disk");
  it.hold("/disk", 5);
  it.releaseNow("/disk");
  for (const [disk, inode] of [["/one", 6], ["/two", 7]] as const) it.hold(disk, inode);
  it.releaseNow("/one");
  it.acquire("/disk");
  assert.equal(it.files.locks[0]?.request.resumed?.(), true);
});

Deno.test("LockTable takes a guest for a paused one still that got again what was released for it, and was refused more", () => {
  const it = new Table();
  it.live(ALPHA, "/disk");
  it.hold("/disk", 5);
  it.releaseNow("/disk");
  for (const [disk, inode] of [["/one", 6], ["/two", 7]] as const) it.hold(disk, inode);
  it.hold("/other", 8, BETA);
  const resume = new GrantTrail();
  it.acquireOver(resume, "/disk");
  it.files.grant(5);
  assert.equal(it.acquireOver(resume, "/other")[0]?.kind, "held");
  it.table.abandon(resume);
  it.releaseNow("/one");
  assert.deepEqual(it.events.filter((event) => event.startsWith("went")), []);
});
