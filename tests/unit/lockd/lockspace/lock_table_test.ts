import assert from "node:assert/strict";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { fileHandle, fileOf } from "../../../support/file_handle.ts";
import { ALPHA, BETA, EXCLUSIVE, Table } from "./table_fixture.ts";

Deno.test("LockTable makes lockspaces once", () => {
  const it = new Table();
  const { table, files } = it;
  assert.deepEqual(it.ask((done) => table.ensureLockspace("", done)), [undefined]);
  assert.deepEqual(it.ask((done) => table.newLockspace("", done)), [{ kind: "default-lockspace-exists" }]);
  const made = it.ask((done) => table.newLockspace("/leases", done));
  const meanwhile = it.ask((done) => table.ensureLockspace("/leases", done));
  assert.equal(files.answerOther(), "make /leases");
  assert.equal(files.answerOther(), "make /leases");
  assert.deepEqual([...made, ...meanwhile], [undefined, undefined]);
  assert.deepEqual(it.events, ["created /leases"]);
  assert.deepEqual(it.ask((done) => table.newLockspace("/leases", done)), [{
    kind: "lockspace-exists",
    path: "/leases",
  }]);
  const again = it.ask((done) => table.ensureLockspace("/leases", done));
  assert.equal(files.answerOther(), "make /leases");
  assert.deepEqual(again, [undefined]);
  const failed = it.ask((done) => table.ensureLockspace("/file", done));
  files.answerOther({ kind: "not-a-directory", path: "/file" });
  assert.deepEqual(failed, [{ kind: "not-a-directory", path: "/file" }]);
  assert.equal(table.lockspaces.has("/file"), false);
  assert.equal(it.ask((done) => table.ensureLockspace("/a\0b", done))[0]?.kind, "bad-name");
});

Deno.test("LockTable creates and deletes files of resources that are not locked", () => {
  const it = new Table();
  const { table, files } = it;
  table.restoreLockspace("/leases");
  const created = it.ask((done) => table.createResource("/leases", "a", done));
  assert.equal(files.answerOther(), "create /leases/a false");
  const deleted = it.ask((done) => table.deleteResource("", "/a", done));
  assert.equal(files.answerOther({ kind: "system", action: "Delete", errno: 1 }), "remove /a");
  assert.deepEqual([...created, ...deleted], [undefined, { kind: "system", action: "Delete", errno: 1 }]);
  it.acquire("/disk");
  for (const change of [table.createResource, table.deleteResource]) {
    const ask = (path: string, name: string) =>
      it.ask((done) => change.call(table, path, name, done))[0]?.kind;
    assert.equal(ask("/nowhere", "a"), "lockspace-missing");
    assert.equal(ask("/leases", "../a"), "bad-name");
    assert.equal(ask("", "/disk"), "pending");
  }
  files.grant(5);
  assert.equal(it.ask((done) => table.deleteResource("", "/disk", done))[0]?.kind, "held");
});

Deno.test("LockTable refuses an unknown lockspace and a bad name", () => {
  const it = new Table();
  const missing = it.acquire("a", ALPHA, EXCLUSIVE, "/nowhere");
  const absent = { kind: "system", action: "Unable to look at /nowhere", errno: 2 } as const;
  assert.equal(it.files.answerOther(absent), "check /nowhere");
  assert.deepEqual(missing, [{ kind: "lockspace-missing", path: "/nowhere" }]);
  assert.deepEqual(
    it.ask((done) => it.table.release("/nowhere", "a", ALPHA, done)),
    [{ kind: "lockspace-missing", path: "/nowhere" }],
  );
  assert.equal(it.acquire("a\0b")[0]?.kind, "bad-name");
});

Deno.test("LockTable locks in a directory that it has adopted, and does not make the file", () => {
  const it = new Table();
  const autocreated = { shared: false, autocreate: true };
  const answers = it.acquire("a", ALPHA, autocreated, "/leases");
  assert.equal(it.files.answerOther(), "check /leases");
  assert.equal(it.files.locks[0]?.request.create, false);
  it.files.grant(5);
  assert.deepEqual(answers, [undefined]);
  assert.deepEqual(it.ask((done) => it.table.createResource("/leases", "b", done))[0]?.kind, "adopted");
});

Deno.test("LockTable makes a lock directory again that was deleted, once in a request", () => {
  const it = new Table();
  it.table.restoreLockspace("/leases");
  const gone = { kind: "failed", action: "Unable to open/create resource /leases/a", errno: 2 } as const;
  const autocreated = { shared: false, autocreate: true };
  const answers = it.acquire("a", ALPHA, autocreated, "/leases");
  it.files.answerLock(gone);
  assert.equal(it.files.answerOther(), "make /leases");
  assert.deepEqual(answers, []);
  it.files.answerLock(gone);
  assert.deepEqual(answers, [{ kind: "system", action: gone.action, errno: 2 }]);
  const refused = it.acquire("b", ALPHA, autocreated, "/leases");
  it.files.answerLock(gone);
  it.files.answerOther({ kind: "system", action: "make", errno: 30 });
  assert.deepEqual(refused, [{ kind: "system", action: gone.action, errno: 2 }]);
  // Without a file to be made, a missing one is just missing.
  const plain = it.acquire("c", ALPHA, EXCLUSIVE, "/leases");
  it.files.answerLock({ kind: "failed", action: "Unable to open resource /leases/c", errno: 2 });
  assert.equal(plain[0]?.kind, "system");
  assert.deepEqual(it.files.others, []);
});

Deno.test("LockTable puts back what an earlier image had, and goes on with its numbers", () => {
  const it = new Table();
  const resource: Resource = {
    id: 41,
    lockspace: "",
    name: "/disk",
    path: "/disk",
    handle: fileHandle(it.ledger.own(30, "lock"), { lock: "posix" }),
    shared: true,
    autocreate: false,
    holdings: [{ owner: ALPHA, since: 1 }, { owner: BETA, since: 2 }],
    state: { kind: "held" },
  };
  it.table.restoreResource(resource);
  assert.ok(it.table.owns(100) && it.table.owns(200));
  assert.ok(it.guard.guards(fileOf(resource).identity));
  assert.equal(it.table.nextId, 42);
  it.table.nextId = 7;
  assert.equal(it.table.nextId, 42);
  assert.throws(
    () => it.table.restoreResource(resource),
    /^Error: Restore resource \/disk: it appears twice/,
  );
  assert.throws(
    () => it.table.restoreResource({ ...resource, lockspace: "/x" }),
    /lockspace '\/x' does not exist/,
  );
  assert.deepEqual(it.table.findByFile(fileOf(resource).identity), resource);
  assert.deepEqual(it.release("/disk", BETA), [undefined]);
  const last = it.release("/disk");
  it.files.answerUnlock();
  assert.deepEqual(last, [undefined]);
  assert.ok(!it.guard.active);
});

Deno.test("LockTable recast() guards a file as long as its lock is a POSIX lock", () => {
  const it = new Table();
  const resource: Resource = {
    id: 1,
    lockspace: "",
    name: "/disk",
    path: "/disk",
    handle: fileHandle(it.ledger.own(30, "lock"), { lock: "posix" }),
    shared: false,
    autocreate: false,
    holdings: [{ owner: ALPHA, since: 1 }],
    state: { kind: "held" },
  };
  it.table.restoreResource(resource);
  it.guard.adoptParked(it.ledger.own(31, "parked"), fileOf(resource).identity);
  it.table.recast(resource, "ofd", { kind: "held" });
  assert.ok(!it.guard.active);
  assert.deepEqual(it.closed, [31]);
  it.table.recast(resource, "ofd", { kind: "doubtful", reason: "why" });
  it.table.recast(resource, "posix", { kind: "held" });
  assert.ok(it.guard.guards(fileOf(resource).identity));
  assert.deepEqual(it.events, [
    "recast /disk ofd held",
    "recast /disk ofd doubtful",
    "recast /disk posix held",
  ]);
  assert.deepEqual(it.release("/disk"), []);
  it.files.answerUnlock();
  assert.ok(!it.guard.active);
});
