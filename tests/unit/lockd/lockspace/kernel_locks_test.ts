import assert from "node:assert/strict";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { fileHandle, fileOf } from "../../../support/file_handle.ts";
import { ALPHA, BETA, Table } from "./table_fixture.ts";

/** A table with a resource of ALPHA's that is not taken again yet. */
function awaiting() {
  const it = new Table();
  const resource: Resource = {
    id: 1,
    lockspace: "",
    name: "/disk",
    path: "/disk",
    handle: { kind: "none", place: it.ledger.own(30, "lock") },
    shared: false,
    autocreate: false,
    holdings: [{ owner: ALPHA, since: 1 }],
    state: { kind: "awaited", reason: "why" },
  };
  it.table.restoreResource(resource);
  return { it, resource };
}

Deno.test("LockTable refuses an awaited lock to others until it is seized, and after it", () => {
  const { it, resource } = awaiting();
  assert.equal(it.acquire("/disk", BETA)[0]?.kind, "held");
  const identity = { devMajor: 8, devMinor: 1, inodeLow: 9, inodeHigh: 0 };
  it.table.seize(resource, 31, identity);
  assert.deepEqual([it.closed, resource.handle, resource.state], [[30], fileHandle(31), { kind: "held" }]);
  assert.equal(it.acquire("/disk", BETA)[0]?.kind, "held");
  assert.throws(() => it.table.seize(resource, 32, identity), /Seize \/disk: it is held/);
});

Deno.test("LockTable keeps a lost lock from others, and touches no file by its name when it is released", () => {
  const it = new Table();
  const resource: Resource = {
    id: 1,
    lockspace: "",
    name: "/disk",
    path: "/disk",
    handle: fileHandle(it.ledger.own(30, "lock")),
    shared: false,
    autocreate: true,
    holdings: [{ owner: ALPHA, since: 1 }],
    state: { kind: "held" },
  };
  it.table.restoreResource(resource);
  it.table.lose(resource, { kind: "lost", reason: "somebody else has it" }, "ended with the last daemon");
  assert.deepEqual(it.events.splice(0), ["lost /disk lost: ended with the last daemon"]);
  assert.equal(it.acquire("/disk", BETA)[0]?.kind, "held");
  assert.equal(it.acquire("/disk")[0]?.kind, "held");
  assert.deepEqual(it.release("/disk"), []);
  // By then its file may be somebody else's.
  assert.deepEqual(it.files.unlocks.map(({ request }) => request), [
    { path: "/disk", fd: 30, lock: "ofd", shared: false, autocreate: false, force: false },
  ]);
  assert.throws(() => it.table.lose(resource, { kind: "lost", reason: "x" }, "x"), /it is being released/);
  it.files.answerUnlock();
  assert.deepEqual([it.closed, it.table.resourceCount], [[30], 0]);
});

Deno.test("LockTable takes a lost lock again by another descriptor, and closes the one that had nothing", () => {
  const { it, resource } = awaiting();
  it.table.lose(resource, { kind: "lost", reason: "x" }, "y");
  it.table.seize(resource, 31, fileHandle(31).identity);
  assert.deepEqual([it.closed, resource.state], [[30], { kind: "held" }]);
  it.table.lose(resource, { kind: "lost", reason: "x" }, "y");
  it.table.seize(resource, 32, fileHandle(32).identity);
  assert.deepEqual([it.closed, fileOf(resource).fd], [[30, 31], 32]);
  assert.deepEqual(it.events.slice(-4), [
    "lost /disk lost: y",
    "regained /disk",
    "lost /disk lost: y",
    "regained /disk",
  ]);
});

Deno.test("LockTable releases an awaited lock at once, without asking its storage", () => {
  const { it, resource } = awaiting();
  assert.ok(it.table.has(resource));
  assert.deepEqual(it.release("/disk"), [undefined]);
  assert.ok(!it.table.has(resource));
  assert.deepEqual([it.closed, it.ledger.size], [[30], 0]);
  assert.equal(it.events.at(-1), "released /disk alpha last");
});
