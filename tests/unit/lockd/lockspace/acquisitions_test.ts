import assert from "node:assert/strict";
import { SystemError } from "../../../../src/os/system_error.ts";
import { fileOf } from "../../../support/file_handle.ts";
import { ALPHA, BETA, OFD_HOLDER, SHARED, Table } from "./table_fixture.ts";

Deno.test("LockTable acquire() asks for the kernel lock and then knows the resource", () => {
  const it = new Table();
  const answers = it.acquire("/disk", ALPHA, { shared: true, autocreate: true });
  const [{ request } = assert.fail()] = it.files.locks;
  assert.deepEqual({ ...request, record: request.record?.(), resumed: request.resumed?.() }, {
    path: "/disk",
    shared: true,
    autocreate: true,
    create: true,
    followLinks: true,
    owner: ALPHA,
    resumed: true,
    record: `domain 'alpha' (uuid ${ALPHA.uuid}, pid 100) since 1970-01-01T00:00:05Z`,
  });
  assert.deepEqual(answers, []);
  it.files.grant(5);
  assert.deepEqual(answers, [undefined]);
  const [resource = assert.fail()] = it.table.resources();
  assert.deepEqual(resource.holdings, [{ owner: ALPHA, since: 5000 }]);
  assert.deepEqual([resource.id, fileOf(resource).lock, resource.state], [1, "ofd", { kind: "held" }]);
  assert.ok(it.ledger.has(fileOf(resource).fd));
  assert.ok(it.table.owns(100) && !it.table.owns(200));
  assert.equal(it.table.resourceCount, 1);
  assert.deepEqual(it.events, ["granted /disk alpha"]);
});

Deno.test("LockTable acquire() refuses a name that is held or just being locked, without asking the kernel", () => {
  const it = new Table();
  const first = it.acquire("/disk");
  assert.deepEqual(it.acquire("/disk", BETA), [{ kind: "pending", resource: "/disk", owner: "alpha" }]);
  it.files.grant(5);
  assert.deepEqual(first, [undefined]);
  const held = { name: "/disk", holdings: [{ owner: ALPHA, since: 5000 }], dying: false };
  assert.deepEqual(it.acquire("/disk", BETA), [{ kind: "held", resource: "/disk", held }]);
  assert.deepEqual(it.acquire("/disk", ALPHA, SHARED), [{ kind: "held", resource: "/disk", held }]);
  assert.equal(it.files.locks.length, 0);
  assert.deepEqual(it.events, [
    "refused beta pending",
    "granted /disk alpha",
    "refused beta held",
    "refused alpha held",
  ]);
});

Deno.test("LockTable acquire() tells under which name a file is held that the kernel refuses", () => {
  const it = new Table();
  const { identity } = fileOf(it.hold("/disk", 5));
  const answers = it.acquire("/alias", BETA);
  it.files.answerLock({ kind: "busy", identity, pid: -1 });
  const held = { name: "/disk", holdings: [{ owner: ALPHA, since: 5000 }], dying: false };
  assert.deepEqual(answers, [{ kind: "held", resource: "/alias", held }]);
  const behindLink = it.acquire("/link", BETA);
  it.files.answerLock({ kind: "failed", action: "Open", errno: 40, target: identity });
  assert.deepEqual(behindLink, [{ kind: "held", resource: "/link", held }]);
});

Deno.test("LockTable acquire() tells which stranger holds a file", () => {
  const it = new Table();
  it.holder = OFD_HOLDER;
  const answers = it.acquire("/disk");
  it.files.answerLock({
    kind: "busy",
    identity: { devMajor: 1, devMinor: 1, inodeLow: 1, inodeHigh: 1 },
    pid: 7,
  });
  assert.deepEqual(answers, [{ kind: "held-elsewhere", resource: "/disk", by: OFD_HOLDER }]);
  assert.equal(it.table.resourceCount, 0);
});

Deno.test("LockTable acquire() passes failures on and lets the name be asked for again", () => {
  const it = new Table();
  const failed = it.acquire("/disk");
  it.files.answerLock({ kind: "failed", action: "Open /disk", errno: 2 });
  assert.deepEqual(failed, [{ kind: "system", action: "Open /disk", errno: 2 }]);
  const slow = it.acquire("/disk");
  it.files.answerLock({ kind: "storage", action: "Lock /disk", reason: "no answer" });
  assert.deepEqual(slow, [{ kind: "storage", action: "Lock /disk", reason: "no answer" }]);
  it.hold("/disk", 5);
});

Deno.test("LockTable releases nothing for an owner of the same pid with another uuid", () => {
  for (const pid of [0, 100]) {
    const it = new Table();
    const [alpha, beta] = [{ ...ALPHA, pid }, { ...BETA, pid }];
    it.hold("/disk", 5, alpha);
    assert.deepEqual(it.release("/disk", beta).map((refusal) => refusal?.kind), ["not-owner"]);
    assert.equal(it.table.resourceCount, 1);
    const released = it.release("/disk", alpha);
    it.files.answerUnlock();
    assert.deepEqual(released, [undefined]);
  }
});

Deno.test("LockTable tells owners of one pid apart by their pid namespaces", () => {
  const it = new Table();
  const inside = { ...ALPHA, namespace: "4026532500" };
  it.hold("/disk", 5, inside);
  assert.deepEqual(it.release("/disk", ALPHA).map((refusal) => refusal?.kind), ["not-owner"]);
  assert.ok(it.table.owns("4026532500/100"));
  assert.ok(!it.table.owns(100));
});

Deno.test("LockTable learns from the first request who an owner is that libvirt's daemon named by its pid only", () => {
  const it = new Table();
  const nameless = { ...ALPHA, id: 0, name: "", uuid: "00000000-0000-0000-0000-000000000000" };
  it.hold("/disk", 5, nameless);
  it.hold("/second", 6, nameless);
  assert.equal(it.acquire("/disk")[0]?.kind, "held");
  assert.deepEqual(it.events.slice(-3), ["learnt /disk alpha", "learnt /second alpha", "refused alpha held"]);
  assert.deepEqual(it.release("/second", { ...BETA, pid: 100 }).map((refusal) => refusal?.kind), [
    "not-owner",
  ]);
  it.release("/second");
  it.files.answerUnlock();
  assert.deepEqual(it.events.slice(-1), ["released /second alpha last"]);
});

Deno.test("LockTable releases for whoever asks first what an owner has that has neither pid nor uuid", () => {
  const it = new Table();
  it.hold("/disk", 5, { ...ALPHA, pid: 0, uuid: "00000000-0000-0000-0000-000000000000" });
  const released = it.release("/disk", { ...BETA, pid: 0 });
  it.files.answerUnlock();
  assert.deepEqual(released, [undefined]);
});

Deno.test("LockTable grants nothing to an owner that cannot be watched though it may live", () => {
  const it = new Table();
  it.unwatched = new SystemError("pidfd_open", "process 100", 24);
  const action = "Unable to watch process 100, the owner of resource /disk";
  assert.deepEqual(it.acquire("/disk"), [{ kind: "system", action, errno: 24 }]);
  assert.equal(it.files.locks.length, 0);
});

Deno.test("LockTable grants nothing to an owner whose process has ended", () => {
  const it = new Table();
  it.unwatched = new SystemError("pidfd_open", "process 100", 3);
  const action = "Resource /disk is not locked for process 100, which has ended";
  assert.deepEqual(it.acquire("/disk"), [{ kind: "system", action, errno: 3 }]);
  assert.equal(it.files.locks.length, 0);
});
