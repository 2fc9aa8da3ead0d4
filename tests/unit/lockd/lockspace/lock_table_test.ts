import assert from "node:assert/strict";
import type { LockRequest, UnlockRequest } from "../../../../src/lockd/lockspace/lock_file.ts";
import type {
  LockFiles,
  LockFilesOutcome,
  UnlockFailed,
} from "../../../../src/lockd/lockspace/lock_files.ts";
import type { DirectoryFailure, FileFailure } from "../../../../src/lockd/lockspace/file_failure.ts";
import { LockTable } from "../../../../src/lockd/lockspace/lock_table.ts";
import type { Opened } from "../../../../src/lockd/lockspace/open_files.ts";
import { GrantTrail } from "../../../../src/lockd/lockspace/grant_trail.ts";
import { type Owner, type OwnerKey, ownerKey } from "../../../../src/lockd/lockspace/owner.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import type { Done, ForeignHolder, Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { DEAF } from "../../../support/deaf_observer.ts";
import { ANYWHERE } from "../../../support/anywhere.ts";
import { NOTHING_WRITTEN } from "../../../support/nothing_written.ts";
import { fileHandle, fileOf } from "../../../support/file_handle.ts";

const ALPHA = { pid: 100, id: 1, name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
const BETA = { pid: 200, id: 2, name: "beta", uuid: "66666666-7777-8888-9999-000000000000" };
const EXCLUSIVE = { shared: false, autocreate: false };
const SHARED = { shared: true, autocreate: false };
const OFD_HOLDER = { kind: "process", pid: 7, command: "qemu" } as const;

type Unlock = { request: UnlockRequest; slow: () => void; done: (failure: UnlockFailed | undefined) => void };

/** Files whose operations the test answers. */
class PlayedFiles implements LockFiles {
  readonly locks: { request: LockRequest; done: (outcome: LockFilesOutcome) => void }[] = [];
  readonly unlocks: Unlock[] = [];
  readonly others: { what: string; done: (failure: FileFailure | undefined) => void }[] = [];
  readonly #ledger: DescriptorLedger;
  #nextFd = 50;

  constructor(ledger: DescriptorLedger) {
    this.#ledger = ledger;
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    this.locks.push({ request, done });
  }

  unlock(
    request: UnlockRequest,
    _identity: unknown,
    slow: (failure: UnlockFailed) => void,
    done: Unlock["done"],
  ) {
    this.unlocks.push({
      request,
      slow: () => slow({ kind: "storage", action: "Release", reason: "slow", released: false }),
      done: (failure) => {
        if (failure === undefined || failure.released) this.#ledger.close(request.fd);
        done(failure);
      },
    });
  }

  create(path: string, followLinks: boolean, done: (failure: FileFailure | undefined) => void): void {
    this.others.push({ what: `create ${path} ${followLinks}`, done });
  }

  remove(path: string, done: (failure: FileFailure | undefined) => void): void {
    this.others.push({ what: `remove ${path}`, done });
  }

  makeDirectory(path: string, done: (failure: FileFailure | undefined) => void): void {
    this.others.push({ what: `make ${path}`, done });
  }

  checkDirectory(path: string, done: (failure: DirectoryFailure | undefined) => void): void {
    this.others.push({ what: `check ${path}`, done });
  }

  /** Grants the oldest lock that is asked for; the file's inode is `inode`. */
  grant(inode: number): void {
    const identity = { devMajor: 8, devMinor: 1, inodeLow: inode, inodeHigh: 0 };
    this.answerLock({ kind: "granted", fd: this.#nextFd++, identity });
  }

  answerLock(outcome: LockFilesOutcome): void {
    (this.locks.shift() ?? assert.fail("no lock was asked for")).done(outcome);
  }

  answerUnlock(failure?: UnlockFailed): void {
    (this.unlocks.shift() ?? assert.fail("no release was asked for")).done(failure);
  }

  answerOther(failure?: FileFailure): string {
    const { what, done } = this.others.shift() ?? assert.fail("nothing was asked for");
    done(failure);
    return what;
  }
}

/** A table over played files, with what it reported. */
class Table {
  readonly closed: number[] = [];
  readonly events: string[] = [];
  readonly ledger = new DescriptorLedger({ close: (fd) => this.closed.push(fd) });
  readonly files = new PlayedFiles(this.ledger);
  readonly guard = new PosixGuard(this.ledger);
  holder: ForeignHolder = { kind: "unknown" };
  /** Owners whose process is watched. */
  readonly alive = new Set<OwnerKey>();
  /** By pid and name. */
  readonly open = new Map<string, Opened>();
  staleResumeAllowed = false;
  /** Why no owner can be watched. */
  unwatched: SystemError | undefined;
  /** How long who asks waits for owners on their way out, in ms. */
  patience = 0;
  /** Whether owners that are gone have a write under way. */
  writes = false;
  readonly settling = new Map<Resource, OwnerKey>();
  landed = () => {};
  /** The time of who waits is up. */
  late = () => {};
  /** Owners whose process has ended, though nobody was told. */
  readonly endedUnseen = new Set<OwnerKey>();
  readonly table = new LockTable({
    files: this.files,
    ledger: this.ledger,
    guard: this.guard,
    observer: {
      ...DEAF,
      regranted: ({ name }) => this.events.push(`regranted ${name}`),
      regrantable: ({ name }) => this.events.push(`regrantable ${name}`),
      parked: ({ name, owner, use }) =>
        this.events.push(
          `parked ${name} ${owner.name}${use === undefined ? "" : ` used by ${use.owner.name}`}`,
        ),
      unparked: ({ name, owner }) => this.events.push(`unparked ${name} ${owner.name}`),
      resumeUnjudged: ({ name }) => this.events.push(`unjudged ${name}`),
      lockspaceCreated: (path) => this.events.push(`created ${path}`),
      lockspacePlaced: () => {},
      granted: ({ name }, { owner }) => this.events.push(`granted ${name} ${owner.name}`),
      released: ({ name }, owner, last) =>
        this.events.push(`released ${name} ${owner.name}${last ? " last" : ""}`),
      recast: (resource) =>
        this.events.push(`recast ${resource.name} ${fileOf(resource).lock} ${resource.state.kind}`),
      lost: ({ name, state }, how) => this.events.push(`lost ${name} ${state.kind}: ${how}`),
      regained: ({ name }) => this.events.push(`regained ${name}`),
      refused: (owner, { kind }) => this.events.push(`refused ${owner.name} ${kind}`),
      learnt: ({ name, holdings }) => this.events.push(`learnt ${name} ${holdings[0]?.owner.name}`),
      troubled: ({ name }, { action }) => this.events.push(`troubled ${name} ${action}`),
    },
    ...ANYWHERE,
    ...NOTHING_WRITTEN,
    settler: {
      settle: (resource, holding, over) => {
        if (!this.writes) return over();
        this.settling.set(resource, ownerKey(holding.owner));
        this.landed = () => {
          this.settling.clear();
          over();
        };
      },
      isSettling: (resource, key) => this.settling.get(resource) === key,
      isWaitedFor: (key) => [...this.settling.values()].includes(key),
      reasonOf: (resource) => this.settling.has(resource) ? "it writes" : undefined,
      abandon: () => {},
    },
    loop: {
      after: (_milliseconds, task) => {
        this.late = task;
        return { due: 0, cancel: () => {} };
      },
      defer: (task) => task(),
    },
    patience: () => this.patience,
    watch: {
      begin: () => this.unwatched,
      hasEnded: (key) => this.endedUnseen.has(key),
      processOf: (key) => this.alive.has(key) ? { key, pid: Number(key), start: 1, pidfd: 9 } : undefined,
    },
    opened: (pid, { name }) => this.open.get(`${pid} ${name}`) ?? "unknown",
    staleResumeAllowed: () => this.staleResumeAllowed,
    findHolder: (_path, _identity, _pid, done) => done(this.holder),
    now: () => 5000,
  });

  /** Asks; what was answered so far is in the array. */
  ask(request: (done: Done) => void): (Refusal | undefined)[] {
    const answers: (Refusal | undefined)[] = [];
    request((refusal) => answers.push(refusal));
    return answers;
  }

  acquire(name: string, owner = ALPHA, options = EXCLUSIVE, path = ""): (Refusal | undefined)[] {
    return this.ask((done) => this.table.acquire(path, name, options, owner, done));
  }

  /** Over a connection. */
  acquireOver(trail: GrantTrail, name: string, owner = ALPHA): (Refusal | undefined)[] {
    return this.ask((done) => this.table.acquire("", name, EXCLUSIVE, owner, done, trail));
  }

  /** An owner's process lives, and has these disks open for writing. */
  live(owner: Owner, ...disks: readonly string[]): void {
    this.alive.add(owner.pid);
    for (const disk of disks) this.open.set(`${owner.pid} ${disk}`, "open");
  }

  /** libvirt releases a lock. */
  releaseNow(name: string, owner = ALPHA): void {
    assert.deepEqual(
      this.ask((done) => {
        this.table.release("", name, owner, done);
        this.files.answerUnlock();
      }),
      [undefined],
    );
  }

  release(name: string, owner = ALPHA): (Refusal | undefined)[] {
    return this.ask((done) => this.table.release("", name, owner, done));
  }

  /** Takes a lock that is granted. */
  hold(name: string, inode: number, owner = ALPHA, options = EXCLUSIVE): Resource {
    const answers = this.acquire(name, owner, options);
    this.files.grant(inode);
    assert.deepEqual(answers, [undefined]);
    return this.table.lockspaces.get("")?.resources.get(name) ?? assert.fail();
  }
}

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
