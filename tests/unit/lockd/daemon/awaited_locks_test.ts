import assert from "node:assert/strict";
import type { Timer } from "../../../../src/chassis/event/event_loop.ts";
import { AwaitedLocks } from "../../../../src/lockd/daemon/awaited_locks.ts";
import type { LockFiles, LockFilesOutcome } from "../../../../src/lockd/lockspace/lock_files.ts";
import { reasonOf } from "../../../../src/lockd/lockspace/lock_record.ts";
import type { LockObserver } from "../../../../src/lockd/lockspace/lock_observer.ts";
import { LockTable } from "../../../../src/lockd/lockspace/lock_table.ts";
import type { Place } from "../../../../src/lockd/lockspace/places.ts";
import { deviceKey } from "../../../../src/lockd/storage/mount_tree.ts";
import type { LockTrouble } from "../../../../src/lockd/storage/storage_client.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";
import { DEAF, UNWATCHED } from "../../../support/deaf_observer.ts";
import { ANYWHERE } from "../../../support/anywhere.ts";
import { NOTHING_WRITTEN } from "../../../support/nothing_written.ts";
import { fileHandle, fileOf } from "../../../support/file_handle.ts";

const OWNER = { pid: 77, name: "alpha", uuid: "6ba7b810-9dad-41d1-80b4-000000000001", id: 1 };
const WHOSE = `The lock on '/mnt/disk' of domain 'alpha' (uuid ${OWNER.uuid}, pid 77)`;
const IDENTITY = { devMajor: 8, devMinor: 1, inodeLow: 9, inodeHigh: 0 };

const LOCKSPACE = "/locks";
const EXPORT: Place = { source: "server:/export", type: "nfs4", point: "/locks", device: deviceKey(0, 77) };
const LOCAL: Place = { source: "/dev/sda1", type: "ext4", point: "/", device: deviceKey(8, 1) };

/** A table with one resource, and storage that is played. */
class Stage {
  readonly closed: number[] = [];
  readonly ledger = new DescriptorLedger({ close: (fd) => this.closed.push(fd) });
  /** Locks that were about to be had again. */
  readonly had: string[] = [];
  readonly logged: string[] = [];
  readonly asked: ((outcome: LockFilesOutcome) => void)[] = [];
  readonly unlocked: string[] = [];
  readonly timers: (() => void)[] = [];
  /** Answer of the file system that is asked whether it has the lock. */
  trouble: LockTrouble | undefined;
  proven: number[] = [];
  keeps = false;
  /** On which file system the lock directory is. */
  found: Place | undefined;
  readonly table: LockTable;
  readonly resource: Resource;
  readonly locks: AwaitedLocks;

  constructor(parts: Partial<Resource> = {}, found?: Place) {
    const files: LockFiles = {
      lock: (_request, done) => void this.asked.push(done),
      unlock: ({ path, autocreate }, _identity, _slow, done) => {
        this.unlocked.push(`${path}${autocreate ? " and the file" : ""}`);
        done(undefined);
      },
      create: (_path, _follow, done) => done(undefined),
      remove: (_path, done) => done(undefined),
      makeDirectory: (_path, done) => done(undefined),
      checkDirectory: (_path, done) => done(undefined),
    };
    const say = (level: string) => (message: string | (() => string)) =>
      void this.logged.push(`${level}: ${typeof message === "string" ? message : message()}`);
    this.table = lockTable(files, this.ledger, {
      ...DEAF,
      lost: ({ state }, how) => this.logged.push(`${state.kind}: ${how}: ${reasonOf(state)}`),
      regained: ({ name }) => this.logged.push(`regained: ${name}`),
    }, () => this.found);
    this.found = found;
    if (found !== undefined) this.table.restoreLockspace(LOCKSPACE).place = EXPORT;
    this.resource = {
      id: 1,
      lockspace: "",
      name: "/mnt/disk",
      path: "/mnt/disk",
      handle: { kind: "none", place: this.ledger.own(3000, "lock") },
      shared: false,
      autocreate: false,
      holdings: [{ owner: OWNER, since: 1 }],
      state: { kind: "awaited", reason: "not yet" },
      ...parts,
    };
    this.table.restoreResource(this.resource);
    this.locks = new AwaitedLocks({
      sys: kernel,
      loop: {
        after: (_milliseconds, task): Timer => {
          this.timers.push(task);
          return { due: 0, cancel() {} };
        },
      },
      table: this.table,
      storage: {
        files,
        mayHang: () => true,
        keepsLocks: () => this.keeps,
        setLock: (_path, _identity, fd, _type, done) => {
          this.proven.push(fd);
          done(this.trouble);
        },
      },
      log: {
        enabled: () => true,
        debug: say("debug"),
        info: say("info"),
        notice: say("notice"),
        warn: say("warn"),
        error: say("error"),
      },
      found: ({ state }, fd) => void this.had.push(`${fd} while ${state.kind}`),
    });
    this.locks.begin();
  }
}

Deno.test("AwaitedLocks takes a lock through its storage, and says that it was free", () => {
  const { asked, had, resource, logged, closed, unlocked } = new Stage();
  asked.shift()?.({ kind: "granted", fd: 3001, identity: IDENTITY });
  // Before it is had: a lock that is being handed over goes at once then, for all hosts that it is of.
  assert.deepEqual(had, ["3001 while awaited"]);
  assert.deepEqual([resource.state, fileOf(resource).fd, closed], [{ kind: "held" }, 3001, [3000]]);
  assert.deepEqual(logged, ["regained: /mnt/disk"]);
  assert.deepEqual([asked, unlocked], [[], []]);
});

Deno.test("AwaitedLocks tries again as long as it must, and says each reason once", () => {
  const { asked, resource, logged, timers } = new Stage();
  const hung = {
    kind: "storage",
    action: "x",
    reason: "storage at /mnt did not answer within 20 s",
  } as const;
  asked.shift()?.(hung);
  timers.shift()?.();
  asked.shift()?.(hung);
  assert.deepEqual(resource.state, { kind: "awaited", reason: hung.reason });
  timers.shift()?.();
  asked.shift()?.({ kind: "busy", identity: IDENTITY, pid: -1 });
  timers.shift()?.();
  asked.shift()?.({ kind: "failed", action: "Unable to open resource /mnt/disk", errno: 2 });
  const said = (state: string, reason: string) =>
    `${state}: ended with the last daemon and could not be taken again yet: ${reason}`;
  // Of storage that does not answer nothing is known; what it refuses is lost.
  assert.deepEqual(logged.splice(0), [
    said("awaited", hung.reason),
    said("lost", "somebody else holds it now"),
    said("lost", "Unable to open resource /mnt/disk: No such file or directory"),
  ]);
  timers.shift()?.();
  asked.shift()?.({ kind: "granted", fd: 3001, identity: IDENTITY });
  assert.deepEqual([resource.state, timers.length], [{ kind: "held" }, 0]);
  assert.deepEqual(logged, ["regained: /mnt/disk"]);
});

Deno.test("AwaitedLocks knows the ghost of the daemon that was killed", () => {
  const stage = new Stage();
  stage.keeps = true;
  stage.asked.shift()?.({ kind: "busy", identity: IDENTITY, pid: -1 });
  assert.match(
    stage.logged[0] ?? "",
    /its FUSE file system still has a lock on it: the killed daemon's own, which/,
  );
});

Deno.test("AwaitedLocks gives back what comes after its owner has gone, with its file", () => {
  const { asked, table, unlocked, timers, closed } = new Stage({ autocreate: true });
  asked.shift()?.({ kind: "storage", action: "x", reason: "y" });
  table.release("", "/mnt/disk", OWNER, (refusal) => assert.equal(refusal, undefined));
  assert.deepEqual(closed, [3000]);
  timers.shift()?.();
  asked.shift()?.({ kind: "granted", fd: 3001, identity: IDENTITY });
  assert.deepEqual(unlocked, ["/mnt/disk and the file"]);
  assert.equal(timers.length, 0);
});

Deno.test("AwaitedLocks has a file system confirm a lock that the kernel does not show", () => {
  const held = { state: { kind: "held" }, handle: fileHandle(3000) } as const;
  const fine = new Stage(held);
  assert.deepEqual([fine.proven, fine.resource.state, fine.logged], [[3000], { kind: "held" }, []]);
  const stage = new Stage({ ...held, state: { kind: "releasing" } });
  assert.deepEqual(stage.proven, []);
  stage.resource.state = { kind: "held" };
  stage.trouble = { kind: "unset", reason: "storage at /mnt did not answer within 20 s" };
  stage.locks.begin();
  const reason = `its file system did not confirm that it is locked: ${stage.trouble.reason}`;
  assert.deepEqual(stage.resource.state, { kind: "doubtful", reason });
  assert.deepEqual(stage.logged, [`error: ${WHOSE} is in doubt: ${reason}`]);
});

Deno.test("AwaitedLocks takes a lock for lost that somebody else has, and gets it back by another descriptor", () => {
  const stage = new Stage({ state: { kind: "held" }, handle: fileHandle(3000) });
  const { resource, table, asked, closed, logged, unlocked } = stage;
  stage.trouble = { kind: "taken", reason: "F_OFD_SETLK: Resource temporarily unavailable" };
  stage.locks.begin();
  assert.deepEqual(resource.state, { kind: "lost", reason: stage.trouble.reason });
  assert.deepEqual(logged, [`lost: ended with the last daemon: ${stage.trouble.reason}`]);
  stage.timers.shift()?.();
  asked.shift()?.({ kind: "granted", fd: 3001, identity: IDENTITY });
  assert.deepEqual([resource.state, fileOf(resource).fd, closed], [{ kind: "held" }, 3001, [3000]]);
  assert.deepEqual([table.has(resource), unlocked], [true, []]);
});

Deno.test("AwaitedLocks does not believe a lock on a file that lies below where its directory was mounted", () => {
  const parts = { lockspace: LOCKSPACE, name: "disk", path: "/locks/disk", autocreate: true };
  const held = { ...parts, state: { kind: "held" }, handle: fileHandle(3000) } as const;
  const stage = new Stage(held, LOCAL);
  const { resource, asked, closed, logged, timers } = stage;
  const reason = "Lock directory /locks belongs on server:/export (nfs4), mounted at /locks, but is now on " +
    "/dev/sda1 (ext4), mounted at /: other hosts would not see a lock there. Mount server:/export again";
  assert.deepEqual(resource.state, { kind: "lost", reason });
  assert.deepEqual(logged.splice(0), [`lost: ended with the last daemon: ${reason}`]);
  // The file below is closed, so that what it is on can be unmounted. As long as it is there nothing is
  // asked.
  assert.deepEqual([resource.handle.kind, closed.splice(0)], ["none", [3000]]);
  timers.shift()?.();
  assert.deepEqual([asked, closed, logged], [[], [], []]);
  stage.found = EXPORT;
  timers.shift()?.();
  asked.shift()?.({ kind: "granted", fd: 3001, identity: { ...IDENTITY, devMajor: 0, devMinor: 77 } });
  assert.deepEqual([resource.state, fileOf(resource).fd, closed.length], [{ kind: "held" }, 3001, 1]);
  assert.deepEqual([logged, timers], [["regained: disk"], []]);
});

Deno.test("AwaitedLocks keeps a lock that is still on its own file system, mounted or not", () => {
  const identity = { ...IDENTITY, devMajor: 0, devMinor: 77 };
  const handle = fileHandle(3000, { identity });
  const held = {
    lockspace: LOCKSPACE,
    name: "disk",
    path: "/locks/disk",
    state: { kind: "held" },
    handle,
  } as const;
  const { resource, proven, logged } = new Stage(held, LOCAL);
  assert.deepEqual([resource.state, proven, logged], [{ kind: "held" }, [3000], []]);
});

function lockTable(
  files: LockFiles,
  ledger: DescriptorLedger,
  observer: LockObserver,
  found: () => Place | undefined,
): LockTable {
  return new LockTable({
    files,
    ledger,
    guard: new PosixGuard(ledger),
    observer,
    ...ANYWHERE,
    places: {
      ...ANYWHERE.places,
      // Each time another one, as when something is mounted and unmounted all the time.
      get generation() {
        return {};
      },
      placeOf: found,
    },
    ...UNWATCHED,
    ...NOTHING_WRITTEN,
    findHolder: (_path, _identity, _pid, done) => done({ kind: "unknown" }),
    now: () => 5000,
  });
}
