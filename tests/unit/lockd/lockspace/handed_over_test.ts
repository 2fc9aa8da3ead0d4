import assert from "node:assert/strict";
import { GrantTrail } from "../../../../src/lockd/lockspace/grant_trail.ts";
import { LockTable } from "../../../../src/lockd/lockspace/lock_table.ts";
import type { Opened } from "../../../../src/lockd/lockspace/open_files.ts";
import type { OtherHosts } from "../../../../src/lockd/lockspace/other_hosts.ts";
import { type Owner, type OwnerKey, ownerKey } from "../../../../src/lockd/lockspace/owner.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import type { Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { ANYWHERE } from "../../../support/anywhere.ts";
import { DEAF } from "../../../support/deaf_observer.ts";
import { MemoryLockFiles } from "../../../support/memory_lock_files.ts";
import { NOTHING_WRITTEN } from "../../../support/nothing_written.ts";

const WEB: Owner = { pid: 100, name: "web", uuid: "u-web", id: 1 };
const DB: Owner = { pid: 200, name: "db", uuid: "u-db", id: 2 };
const SHARED = { shared: true, autocreate: true };
const ALONE = { shared: false, autocreate: true };

/** A lock table of a host of a cluster, whose releases end when the test says so. */
class Stage {
  readonly told: string[] = [];
  readonly alive = new Set<OwnerKey>([100, 200]);
  readonly unused: string[] = [];
  readonly regranted: string[] = [];
  unknown: string | undefined;
  /** Set where whoever shares a lock has to wait. */
  joining: ((reason: string | undefined) => void)[] | undefined;
  covers = true;
  /** Whether guests have their disks open. */
  opened: Opened = "unknown";
  keeps = true;
  gives = true;
  withheld: string | undefined;
  /** Answers of storage that are to come. */
  readonly #later: (() => void)[] = [];
  /** What is done when time has passed. */
  readonly timers: (() => void)[] = [];
  slow = false;
  readonly #others: OtherHosts = {
    covers: () => this.covers,
    keeps: () => this.keeps,
    gives: () => this.gives,
    withheld: () => this.withheld,
    unused: (path) => this.unused.push(path),
    joins: (_path, done) => this.joining === undefined ? done(this.unknown) : this.joining.push(done),
    regrants: (path) => {
      this.regranted.push(path);
      return this.unknown;
    },
    gone: (path, paused) => this.told.push(`gone ${path} ${paused?.name}`),
  };
  readonly #ledger: DescriptorLedger = new DescriptorLedger({
    close: (fd) => {
      this.files.close(fd);
      return 0;
    },
  });
  readonly files: MemoryLockFiles = new MemoryLockFiles(this.#ledger, {
    answer: (run) => this.slow ? this.#later.push(run) : run(),
    fails: () => false,
  });
  readonly table = new LockTable({
    ...ANYWHERE,
    ...NOTHING_WRITTEN,
    files: this.files,
    others: this.#others,
    ledger: this.#ledger,
    guard: new PosixGuard(this.#ledger),
    observer: {
      ...DEAF,
      kept: ({ name }) => this.told.push(`kept ${name}`),
      givenBack: ({ name, holdings }) => this.told.push(`${name} given back to ${holdings[0]?.owner.name}`),
      leaving: ({ name }) => this.told.push(`leaving ${name}`),
      released: ({ name }, { name: owner }) => this.told.push(`released ${name} ${owner}`),
    },
    loop: {
      after: (_milliseconds, task) => {
        this.timers.push(task);
        return { due: 0, cancel: () => {} };
      },
      defer: (task) => task(),
    },
    patience: () => 1000,
    watch: {
      begin: () => undefined,
      hasEnded: () => false,
      processOf: (key) => this.alive.has(key) ? { key, pid: Number(key), start: 1, pidfd: 9 } : undefined,
    },
    opened: () => this.opened,
    staleResumeAllowed: () => false,
    findHolder: (_path, _identity, _pid, done) => done({ kind: "unknown" }),
    now: () => 5000,
  });

  acquire(name: string, owner = WEB, options = ALONE, trail = new GrantTrail()): Refusal["kind"][] | "waits" {
    const answers: (Refusal | undefined)[] = [];
    this.table.acquire("", name, options, owner, (refusal) => answers.push(refusal), trail);
    return answers.length === 0 ? "waits" : answers.flatMap((refusal) => refusal?.kind ?? []);
  }

  release(name: string, owner = WEB): Refusal["kind"][] {
    const answers = this.releasing(name, owner);
    assert.equal(answers.length, 1);
    return answers.flatMap((refusal) => refusal?.kind ?? []);
  }

  /** Asks for a release. @returns what is answered, now or later */
  releasing(name: string, owner = WEB): (Refusal | undefined)[] {
    const answers: (Refusal | undefined)[] = [];
    this.table.release("", name, owner, (refusal) => answers.push(refusal));
    return answers;
  }

  /** Storage answers what it was asked. */
  answer(): void {
    for (const run of this.#later.splice(0)) run();
  }

  /** A lock that is acquired. */
  held(name: string): Resource {
    this.acquire(name);
    const resource = this.table.find("", name);
    assert.ok(resource !== undefined);
    return resource;
  }

  stateOf(name: string): string | undefined {
    const resource = this.table.find("", name);
    return resource && `${resource.state.kind} ${resource.regrant}`;
  }
}

Deno.test("a lock that is released for a paused guest is kept, and its guest gets it again without anybody", () => {
  const stage = new Stage();
  stage.acquire("/disk");
  assert.deepEqual(stage.release("/disk"), []);
  assert.equal(stage.stateOf("/disk"), "held parked");
  assert.deepEqual(stage.release("/disk"), ["not-held"]);
  stage.slow = true;
  assert.deepEqual(stage.acquire("/disk"), []);
  assert.equal(stage.stateOf("/disk"), "held undefined");
  assert.deepEqual(stage.told, ["kept /disk", "/disk given back to web"]);
});

Deno.test("a lock is released as ever where it is not to be kept, and for an owner without a process", () => {
  const stage = new Stage();
  stage.keeps = false;
  stage.acquire("/disk");
  stage.release("/disk");
  stage.keeps = true;
  stage.acquire("/other");
  stage.alive.clear();
  stage.release("/other");
  assert.equal(stage.table.resourceCount, 0);
});

Deno.test("a lock that is not to be kept is on its way out before other hosts can be told of that", () => {
  const stage = new Stage();
  stage.keeps = false;
  stage.acquire("/disk");
  stage.slow = true;
  const answers = stage.releasing("/disk");
  assert.deepEqual([stage.stateOf("/disk"), stage.told], ["releasing leaving", ["leaving /disk"]]);
  assert.equal(stage.acquire("/disk"), "waits");
  stage.answer();
  stage.answer();
  assert.deepEqual([answers, stage.told], [[undefined], ["leaving /disk", "released /disk web"]]);
  assert.equal(stage.table.find("", "/disk")?.state.kind, "held");
});

Deno.test("a release in which the daemon was killed goes on, its guest is told of its end, and has nothing meanwhile", () => {
  const stage = new Stage();
  const resource = stage.held("/disk");
  // The journal has it so. That it could be kept now must not count: etcd may have given it to another host.
  resource.regrant = "leaving";
  stage.slow = true;
  stage.table.resumeHandOvers();
  const answers = stage.releasing("/disk");
  assert.equal(stage.acquire("/disk"), "waits");
  assert.deepEqual([stage.stateOf("/disk"), answers], ["releasing leaving", []]);
  stage.answer();
  assert.deepEqual([answers, stage.told], [[undefined], ["leaving /disk", "released /disk web"]]);
});

Deno.test("a guest whose resume was refused a disk behind the kill of its daemon may have the ones before again", () => {
  const stage = new Stage();
  stage.opened = "open";
  for (const disk of ["/one", "/two"]) stage.acquire(disk);
  for (const disk of ["/one", "/two"]) stage.release(disk);
  stage.table.askedFor("/two", "u-other");
  stage.acquire("/two", DB);
  assert.deepEqual(stage.acquire("/one", WEB, ALONE, new GrantTrail()), []);
  // The next daemon has the connection, and not what was granted over it.
  const lost = GrantTrail.of([], []);
  lost.isLost = true;
  // What was never released for it says nothing of a guest that is resumed.
  stage.acquire("/other", DB);
  assert.deepEqual(stage.acquire("/other", WEB, ALONE, lost), ["held"]);
  stage.table.abandon(lost);
  assert.equal(stage.stateOf("/one"), "held undefined");
  assert.deepEqual(stage.acquire("/two", WEB, ALONE, lost), ["held"]);
  assert.deepEqual(stage.acquire("/one", WEB, ALONE, new GrantTrail()), ["held"]);
  stage.table.abandon(lost);
  assert.equal(stage.stateOf("/one"), "held half-failed");
  assert.deepEqual(stage.acquire("/one", WEB, ALONE, new GrantTrail()), []);
});

Deno.test("the end of a connection that was refused a lock does not take back that others were released since", () => {
  const stage = new Stage();
  stage.acquire("/taken", DB);
  const trail = new GrantTrail();
  for (const disk of ["/one", "/two"]) stage.acquire(disk, WEB, ALONE, trail);
  assert.deepEqual(stage.acquire("/taken", WEB, ALONE, trail), ["held"]);
  for (const disk of ["/one", "/two"]) assert.deepEqual(stage.release(disk), []);
  stage.slow = true;
  assert.equal(stage.table.askedFor("/two", "u-other"), true);
  stage.table.abandon(trail);
  assert.deepEqual(["/one", "/two"].map((disk) => stage.stateOf(disk)), ["held parked", "releasing leaving"]);
  assert.equal(stage.acquire("/two"), "waits");
});

Deno.test("nothing more is noted of a release of which no other host has to be told", () => {
  const stage = new Stage();
  stage.keeps = false;
  stage.covers = false;
  stage.acquire("/disk");
  stage.release("/disk");
  assert.deepEqual(stage.told, ["released /disk web"]);
});

Deno.test("whoever shares a lock waits until the host knows that it has it, and may be refused", () => {
  const stage = new Stage();
  stage.acquire("/disk", WEB, SHARED);
  stage.unknown = "it is not in etcd";
  assert.deepEqual(stage.acquire("/disk", DB, SHARED), ["storage"]);
  stage.unknown = undefined;
  stage.joining = [];
  const answers: (Refusal | undefined)[] = [];
  stage.table.acquire("", "/disk", SHARED, DB, (refusal) => answers.push(refusal));
  const [waits] = stage.joining;
  stage.joining = undefined;
  assert.deepEqual([answers, stage.table.ownedCount(200)], [[], 0]);
  waits?.(undefined);
  assert.deepEqual([answers, stage.table.ownedCount(200)], [[undefined], 1]);
});

Deno.test("a lock that was leaving when an earlier daemon ended, and is had again later, goes then", () => {
  const stage = new Stage();
  const resource = stage.held("/disk");
  resource.regrant = "leaving";
  resource.handle = { kind: "none", place: -1 };
  resource.state = { kind: "awaited", reason: "its storage has not answered" };
  stage.table.resumeHandOvers();
  assert.equal(stage.table.resourceCount, 1);
  const request = { path: "/had", shared: false, create: true, followLinks: true } as const;
  stage.files.lock({ ...request, autocreate: true, record: () => "" }, (outcome) => {
    assert.ok(outcome.kind === "granted");
    stage.table.seize(resource, outcome.fd, outcome.identity);
  });
  assert.equal(stage.table.resourceCount, 0);
});

Deno.test("a parked lock is not given back when its host is told not to", () => {
  const stage = new Stage();
  stage.acquire("/disk");
  stage.release("/disk");
  stage.withheld = "this host was fenced";
  assert.deepEqual(stage.acquire("/disk"), ["storage"]);
  assert.equal(stage.stateOf("/disk"), "held parked");
});

Deno.test("a guest of the same host gets a parked lock when it has been released, and not before", () => {
  const stage = new Stage();
  stage.acquire("/disk");
  stage.release("/disk");
  stage.slow = true;
  assert.equal(stage.acquire("/disk", DB), "waits");
  assert.equal(stage.stateOf("/disk"), "releasing leaving");
  // From now on nothing takes it back.
  assert.equal(stage.acquire("/disk", WEB), "waits");
  stage.answer();
  stage.answer();
  assert.equal(stage.table.find("", "/disk")?.holdings[0]?.owner.name, "db");
});

Deno.test("while etcd is away a parked lock stays its guest's, whoever of the same host asks", () => {
  const stage = new Stage();
  stage.acquire("/disk");
  stage.release("/disk");
  stage.gives = false;
  assert.deepEqual(stage.acquire("/disk", DB), ["held"]);
  assert.deepEqual(stage.acquire("/disk", WEB), []);
});

Deno.test("a guest of another host gets a parked lock, and of its own domain all of them", () => {
  const stage = new Stage();
  for (const disk of ["/one", "/two", "/three"]) stage.acquire(disk);
  for (const disk of ["/one", "/two", "/three"]) stage.release(disk);
  stage.slow = true;
  assert.equal(stage.table.askedFor("/two", "u-other"), true);
  assert.deepEqual(["/one", "/two", "/three"].map((disk) => stage.stateOf(disk)), [
    "held parked",
    "releasing leaving",
    "held parked",
  ]);
  assert.equal(stage.table.askedFor("/one", "u-web"), true);
  assert.equal(stage.stateOf("/three"), "releasing leaving");
  stage.answer();
  assert.equal(stage.table.resourceCount, 0);
});

Deno.test("a guest of another host does not get a lock of a guest that runs, nor one that is not there", () => {
  const stage = new Stage();
  stage.acquire("/disk");
  assert.equal(stage.table.askedFor("/disk", "u-web"), false);
  assert.equal(stage.table.askedFor("/none", "u-web"), false);
  assert.equal(stage.stateOf("/disk"), "held undefined");
});

Deno.test("what somebody may have had is released where no guest has gone on with it, and stays of one that runs", () => {
  const stage = new Stage();
  stage.acquire("/taken", DB);
  const trail = new GrantTrail();
  stage.acquire("/half", WEB, ALONE, trail);
  assert.deepEqual(stage.acquire("/taken", WEB, ALONE, trail), ["held"]);
  stage.table.abandon(trail);
  stage.acquire("/parked");
  stage.release("/parked");
  for (const disk of ["/half", "/parked", "/taken", "/none"]) stage.table.partWith(disk);
  assert.deepEqual(["/half", "/parked", "/taken"].map((disk) => stage.stateOf(disk)), [
    undefined,
    undefined,
    "held undefined",
  ]);
});

for (const meets of ["all of its disks", "only one of its disks"] as const) {
  Deno.test(`a guest that gets ${meets} again to be resumed has ${meets === "all of its disks" ? "" : "not "}gone on with that`, () => {
    const stage = new Stage();
    stage.keeps = false;
    stage.opened = "open";
    for (const disk of ["/one", "/two"]) stage.acquire(disk);
    for (const disk of ["/one", "/two"]) stage.release(disk);
    assert.deepEqual(stage.acquire("/attached"), []);
    const trail = new GrantTrail();
    assert.deepEqual(stage.acquire("/one", WEB, ALONE, trail), []);
    // It may have been told, and is about to ask for the other one.
    assert.equal(stage.table.partWith("/one"), false);
    assert.equal(stage.stateOf("/one"), "held while-paused");
    if (meets === "all of its disks") {
      assert.deepEqual(stage.acquire("/two", WEB, ALONE, trail), []);
      for (const disk of ["/one", "/two", "/attached"]) assert.equal(stage.table.partWith(disk), false);
      return;
    }
    stage.acquire("/two", DB);
    assert.notDeepEqual(stage.acquire("/two", WEB, ALONE, trail), []);
    for (const disk of ["/one", "/attached"]) assert.equal(stage.table.partWith(disk), true);
    for (const disk of ["/one", "/attached"]) assert.equal(stage.stateOf(disk), undefined);
  });
}

Deno.test("a disk that was detached from a guest that runs is given up after a while", () => {
  const stage = new Stage();
  stage.acquire("/one");
  stage.acquire("/two");
  stage.release("/two");
  assert.equal(stage.stateOf("/two"), "held parked");
  for (const run of stage.timers.splice(0)) run();
  assert.equal(stage.stateOf("/two"), undefined);
  stage.release("/one");
  for (const run of stage.timers.splice(0)) run();
  assert.equal(stage.stateOf("/one"), "held parked");
});

Deno.test("a disk that was detached from a guest which went on where it came from is given up after a while too", () => {
  const stage = new Stage();
  for (const disk of ["/one", "/two"]) stage.acquire(disk);
  stage.keeps = false;
  for (const disk of ["/one", "/two"]) stage.release(disk);
  stage.keeps = true;
  for (const disk of ["/one", "/two"]) stage.acquire(disk);
  stage.release("/two");
  assert.deepEqual(["/one", "/two"].map((disk) => stage.stateOf(disk)), ["held undefined", "held parked"]);
  for (const run of stage.timers.splice(0)) run();
  assert.equal(stage.stateOf("/two"), undefined);
});

Deno.test("who joins a parked lock that guests share takes the place of the one that is paused", () => {
  const stage = new Stage();
  stage.acquire("/disk", WEB, SHARED);
  stage.release("/disk", WEB);
  assert.deepEqual(stage.acquire("/disk", DB, SHARED), []);
  assert.equal(stage.stateOf("/disk"), "held undefined");
  assert.deepEqual(stage.table.find("", "/disk")?.holdings.map(({ owner }) => owner.name), ["db"]);
  assert.deepEqual(stage.acquire("/disk", WEB, SHARED), []);
  stage.release("/disk", WEB);
  stage.release("/disk", DB);
  assert.equal(stage.stateOf("/disk"), "held parked");
  assert.deepEqual(stage.acquire("/disk", DB, SHARED), []);
});

Deno.test("the next daemon goes on with what was being handed over", () => {
  const stage = new Stage();
  const resource = stage.held("/disk");
  resource.regrant = "leaving";
  stage.table.resumeHandOvers();
  assert.equal(stage.table.resourceCount, 0);
  assert.deepEqual(stage.told, ["leaving /disk", "released /disk web"]);
});

Deno.test("a lock whose guest is gone and writes no more is on its way out, also for a daemon that comes before etcd answers", () => {
  const stage = new Stage();
  stage.acquire("/disk");
  stage.slow = true;
  stage.alive.delete(ownerKey(WEB));
  stage.table.releaseAll(ownerKey(WEB), () => {});
  assert.deepEqual([stage.stateOf("/disk"), stage.told], ["releasing leaving", ["leaving /disk"]]);
  stage.answer();
  assert.deepEqual([stage.table.resourceCount, stage.told], [0, ["leaving /disk", "released /disk web"]]);
  // The journal has it so; what the guest wrote nobody has seen in this life.
  const next = new Stage();
  next.acquire("/disk");
  const resource = next.table.find("", "/disk");
  assert.ok(resource !== undefined);
  resource.regrant = "leaving";
  next.alive.delete(ownerKey(WEB));
  next.table.resumeHandOvers();
  assert.deepEqual([next.table.resourceCount, next.told], [0, ["leaving /disk", "released /disk web"]]);
});

Deno.test("the parked locks of a guest go with its process", () => {
  const stage = new Stage();
  stage.acquire("/disk");
  stage.release("/disk");
  stage.alive.delete(ownerKey(WEB));
  stage.table.ended(ownerKey(WEB));
  stage.table.releaseAll(ownerKey(WEB), () => {});
  assert.equal(stage.table.resourceCount, 0);
  assert.deepEqual(stage.told, ["kept /disk", "leaving /disk", "released /disk web"]);
});

Deno.test("what a guest was granted before it was refused another lock was no use", () => {
  const stage = new Stage();
  stage.acquire("/taken", DB);
  const trail = new GrantTrail();
  stage.acquire("/one", WEB, ALONE, trail);
  assert.deepEqual(stage.acquire("/taken", WEB, ALONE, trail), ["held"]);
  assert.deepEqual(stage.unused, ["/one"]);
});

for (
  const [what, shared, lives, told] of [
    ["a guest that is paused", false, true, "gone /disk web"],
    ["a guest that is gone", false, false, "gone /disk undefined"],
    ["one that shared it", true, true, "gone /disk undefined"],
  ] as const
) {
  Deno.test(`the cluster is told when a lock without a file is over: of ${what}`, () => {
    const stage = new Stage();
    stage.keeps = false;
    if (!lives) stage.alive.clear();
    stage.table.restoreResource({
      id: 1,
      lockspace: "",
      name: "/disk",
      path: "/disk",
      handle: { kind: "none", place: -1 },
      shared,
      autocreate: false,
      holdings: shared ? [{ owner: WEB, since: 1 }, { owner: DB, since: 2 }] : [{ owner: WEB, since: 1 }],
      state: { kind: "awaited", reason: "why" },
    });
    if (shared) {
      assert.deepEqual(stage.release("/disk", DB), []);
      // The other one uses it still.
      assert.deepEqual(stage.told.splice(0), ["released /disk db"]);
    }
    assert.deepEqual(stage.release("/disk"), []);
    assert.deepEqual(stage.told, ["released /disk web", told]);
  });
}
