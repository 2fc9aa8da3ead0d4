import assert from "node:assert/strict";
import { fileOf } from "../../../support/file_handle.ts";
import { ALPHA, BETA, SHARED, Table } from "./table_fixture.ts";

Deno.test("LockTable adds owners to a shared lock and releases with the last", () => {
  const it = new Table();
  const resource = it.hold("/disk", 5, ALPHA, SHARED);
  assert.deepEqual(it.acquire("/disk", ALPHA, SHARED), [undefined]);
  assert.deepEqual(it.acquire("/disk", BETA, { shared: true, autocreate: true }), [undefined]);
  assert.deepEqual(it.release("/disk"), [undefined]);
  assert.ok(it.table.owns(100));
  assert.deepEqual(it.release("/disk"), [undefined]);
  assert.ok(!it.table.owns(100));
  const held = { name: "/disk", holdings: [{ owner: BETA, since: 5000 }], dying: false };
  assert.deepEqual(it.release("/disk"), [{ kind: "not-owner", resource: "/disk", asker: ALPHA, held }]);
  assert.equal(it.files.unlocks.length, 0);
  const last = it.release("/disk", BETA);
  assert.deepEqual(it.files.unlocks[0]?.request.fd, fileOf(resource).fd);
  it.files.answerUnlock();
  assert.deepEqual(last, [undefined]);
  assert.deepEqual(it.closed, [fileOf(resource).fd]);
  assert.equal(it.table.resourceCount, 0);
  assert.deepEqual(it.events.slice(-1), ["released /disk beta last"]);
  assert.deepEqual(it.release("/disk", BETA), [{ kind: "not-held", resource: "/disk" }]);
});

Deno.test("LockTable keeps a resource that is being released until it is", () => {
  const it = new Table();
  it.hold("/disk", 5, ALPHA, SHARED);
  const answers = it.release("/disk");
  const [again, other] = [it.release("/disk"), it.acquire("/disk", BETA, SHARED)];
  assert.deepEqual(again, [{ kind: "releasing", resource: "/disk" }]);
  assert.equal(other[0]?.kind, "held");
  // Storage is slow: who asked is told, the release goes on.
  it.files.unlocks[0]?.slow();
  assert.equal(answers[0]?.kind, "storage");
  it.files.answerUnlock();
  assert.equal(answers.length, 1);
  assert.equal(it.table.resourceCount, 0);
});

Deno.test("LockTable keeps a lock in doubt that could not be released, and tries again when asked", () => {
  const it = new Table();
  const resource = it.hold("/disk", 5);
  const answers = it.release("/disk");
  it.files.answerUnlock({ kind: "system", action: "Unlink /disk", errno: 30, released: false });
  assert.equal(answers[0]?.kind, "system");
  assert.deepEqual(resource.state, { kind: "doubtful", reason: "Unlink /disk" });
  assert.equal(it.acquire("/disk", BETA)[0]?.kind, "held");
  assert.deepEqual(it.closed, []);
  const again = it.release("/disk");
  it.files.answerUnlock();
  assert.deepEqual(again, [undefined]);
  assert.equal(it.table.resourceCount, 0);
});

Deno.test("LockTable notes nothing more of the lock of an owner that is gone where no other host has to be told", () => {
  const it = new Table();
  const resource = it.hold("/disk", 5);
  it.table.releaseAll(100, () => {});
  assert.deepEqual([resource.state.kind, resource.regrant], ["releasing", undefined]);
  it.files.answerUnlock();
  assert.equal(it.table.resourceCount, 0);
});

Deno.test("LockTable reports litter of a release that worked", () => {
  const it = new Table();
  it.hold("/disk", 5);
  const answers = it.release("/disk");
  it.files.answerUnlock({ kind: "system", action: "Unlink /disk", errno: 30, released: true });
  assert.deepEqual(answers, [undefined]);
  assert.deepEqual(it.events.slice(-2), ["troubled /disk Unlink /disk", "released /disk alpha last"]);
});

Deno.test("LockTable releaseAll() takes everything of a process, and says when it is done", () => {
  const it = new Table();
  it.hold("/a", 1);
  it.hold("/b", 2);
  it.hold("/shared", 3, ALPHA, SHARED);
  it.acquire("/shared", ALPHA, SHARED);
  it.acquire("/shared", BETA, SHARED);
  it.hold("/c", 4, BETA);
  let done = 0;
  it.table.releaseAll(100, () => done++);
  assert.deepEqual(it.files.unlocks.map(({ request }) => [request.path, request.force]), [["/a", true], [
    "/b",
    true,
  ]]);
  it.files.answerUnlock();
  assert.equal(done, 0);
  it.files.answerUnlock({ kind: "system", action: "Unlock", errno: 5, released: false });
  assert.equal(done, 1);
  assert.deepEqual([...it.table.resources()].map(({ name }) => name), ["/b", "/shared", "/c"]);
  assert.deepEqual(
    it.table.lockspaces.get("")?.resources.get("/shared")?.holdings.map(({ owner }) => owner.pid),
    [200],
  );
  it.table.releaseAll(4711, () => done++);
  assert.equal(done, 2);
});

Deno.test("LockTable lets nobody take or release for an owner whose process is being killed", () => {
  const it = new Table();
  it.hold("/disk", 5);
  it.table.markDying(100);
  assert.ok(it.table.isDying(100));
  assert.deepEqual(it.acquire("/other"), [{ kind: "owner-dying", resource: "/other", pid: 100 }]);
  assert.deepEqual(it.release("/disk"), [{ kind: "owner-dying", resource: "/disk", pid: 100 }]);
  const [refusal] = it.acquire("/disk", BETA);
  assert.ok(refusal?.kind === "held" && refusal.held.dying);
  it.table.releaseAll(100, () => {});
  it.files.answerUnlock();
  assert.ok(!it.table.isDying(100));
  it.hold("/disk", 5);
});
