import assert from "node:assert/strict";
import { ALPHA, BETA, SHARED, Table } from "./table_fixture.ts";

Deno.test("LockTable keeps the lock of an owner that is gone until its writes have landed, and who asks waits", () => {
  const it = new Table();
  it.patience = 10_000;
  const resource = it.hold("/disk", 5);
  it.writes = true;
  let done = 0;
  it.table.releaseAll(100, () => done++);
  assert.deepEqual([it.files.unlocks.length, done, it.table.settling(resource)], [0, 0, "it writes"]);
  const waiting = it.acquire("/disk", BETA);
  assert.deepEqual(waiting, []);
  assert.deepEqual(it.release("/disk"), [{ kind: "settling", resource: "/disk", reason: "it writes" }]);
  it.landed();
  it.files.answerUnlock();
  assert.equal(done, 1);
  it.files.grant(5);
  assert.deepEqual(waiting, [undefined]);
});

Deno.test("LockTable gives nothing to a process with the pid of one whose last writes may not have landed", () => {
  const it = new Table();
  it.hold("/disk", 5);
  it.writes = true;
  it.table.releaseAll(100, () => {});
  const next = { ...BETA, pid: 100 };
  assert.deepEqual(it.acquire("/other", next), [{ kind: "pid-settling", resource: "/other", pid: 100 }]);
  it.landed();
  it.files.answerUnlock();
  it.acquire("/other", next);
  assert.deepEqual(it.files.locks.map(({ request }) => request.path), ["/other"]);
});

Deno.test("LockTable refuses who has waited too long for an owner that is gone, and says why", () => {
  const it = new Table();
  it.patience = 10_000;
  it.hold("/disk", 5);
  it.writes = true;
  it.table.releaseAll(100, () => {});
  const waiting = it.acquire("/disk", BETA);
  it.late();
  const [refusal] = waiting;
  assert.ok(refusal?.kind === "held");
  assert.equal(refusal?.held.settling, "it writes");
});

Deno.test("LockTable has who asks wait for an owner that is being killed, or has ended unseen", () => {
  for (const how of ["dying", "unseen"]) {
    const it = new Table();
    it.patience = 10_000;
    it.hold("/disk", 5);
    if (how === "dying") it.table.markDying(100);
    else it.endedUnseen.add(100);
    const waiting = it.acquire("/disk", BETA);
    assert.deepEqual(waiting, [], how);
    it.table.releaseAll(100, () => {});
    it.files.answerUnlock();
    it.files.grant(5);
    assert.deepEqual(waiting, [undefined], how);
  }
});

Deno.test("LockTable has who asks wait for a lock in doubt whose owner is gone, and not for one whose owner lives", () => {
  const it = new Table();
  it.patience = 10_000;
  const resource = it.hold("/disk", 5);
  it.table.recast(resource, "ofd", { kind: "doubtful", reason: "another host has it" });
  assert.equal(it.acquire("/disk", BETA)[0]?.kind, "held");
  it.writes = true;
  it.table.releaseAll(100, () => {});
  const waiting = it.acquire("/disk", BETA);
  assert.deepEqual(waiting, []);
  it.landed();
  it.files.answerUnlock();
  it.files.grant(5);
  assert.deepEqual(waiting, [undefined]);
});

Deno.test("LockTable does not have who asks wait for a lock in doubt that could not be released", () => {
  const it = new Table();
  it.patience = 10_000;
  it.hold("/disk", 5);
  it.table.releaseAll(100, () => {});
  it.files.answerUnlock({ kind: "system", action: "Unlink /disk", errno: 5, released: false });
  assert.equal(it.acquire("/disk", BETA)[0]?.kind, "held");
});

Deno.test("LockTable has who asks by another name of the file wait as well", () => {
  const it = new Table();
  it.patience = 10_000;
  it.hold("/disk", 5);
  it.table.markDying(100);
  const waiting = it.acquire("/alias", BETA);
  const identity = { devMajor: 8, devMinor: 1, inodeLow: 5, inodeHigh: 0 };
  it.files.answerLock({ kind: "busy", identity, pid: -1 });
  assert.deepEqual(waiting, []);
  it.table.releaseAll(100, () => {});
  it.files.answerUnlock();
  it.files.grant(5);
  assert.deepEqual(waiting, [undefined]);
});

Deno.test("LockTable does not have who asks wait for what a living owner shares with one that is gone", () => {
  const it = new Table();
  it.patience = 10_000;
  it.hold("/disk", 5, ALPHA, SHARED);
  it.acquire("/disk", BETA, SHARED);
  it.writes = true;
  it.table.releaseAll(100, () => {});
  assert.equal(it.acquire("/disk", { ...BETA, pid: 300 })[0]?.kind, "held");
  assert.deepEqual(it.acquire("/disk", { ...BETA, pid: 300 }, SHARED), [undefined]);
});
