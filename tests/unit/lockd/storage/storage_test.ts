import assert from "node:assert/strict";
import { EPOLLPRI, F_DUPFD_CLOEXEC, F_WRLCK, O_CREAT, O_RDWR } from "../../../../src/os/constants.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { emptyStatus, type SpawnOptions } from "../../../../src/os/sys.ts";
import { must } from "../../../../src/os/system_error.ts";
import { identityOf } from "../../../../src/lockd/lockspace/file_identity.ts";
import type { LockFilesOutcome } from "../../../../src/lockd/lockspace/lock_files.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import type { ForeignHolder } from "../../../../src/lockd/lockspace/refusal.ts";
import { Storage } from "../../../../src/lockd/storage/storage.ts";
import { PlayedHelper } from "./played_helper.ts";
import { inDirectory, ListedMounts, RecordedStorage, Turning } from "../../../support/storage_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const IDENTITY = { devMajor: 0, devMinor: 99, inodeLow: 7, inodeHigh: 0 };
/** The root directory is on device 9:9 here: that of the test's directory is another. */
const ROOT = "27 1 9:9 / / rw - ext4 /dev/vda rw\n";
const SELF = {
  path: "/usr/sbin/virtlockd",
  argv: ["virtlockd"],
  env: ["PATH=/bin", "NOTIFY_SOCKET=/x", "HOME=/h"],
};

/** Storage on a host with these mounts. Nothing is started: what would be is kept. */
class Stage implements Disposable {
  readonly #before = openDescriptors();
  readonly mounts: ListedMounts;
  readonly turning: Turning;
  readonly storage: Storage;
  readonly observer = new RecordedStorage();
  readonly spawned: SpawnOptions[] = [];
  readonly #first: PlayedHelper[] = [];
  /** What the kernel does when something is mounted. */
  mountsChanged = () => {};

  constructor(mounts: string) {
    const real = linuxSys();
    this.mounts = new ListedMounts(ROOT + mounts, {
      spawn: (options) => {
        this.spawned.push(options);
        const socket = must(
          real.fcntl(options.descriptors[3] as number, F_DUPFD_CLOEXEC, 0),
          "dup",
          "socket",
        );
        this.#first.push(new PlayedHelper(real, socket));
        return 4711;
      },
      pidfdOpen: () => real.eventfd(),
    });
    this.turning = new Turning(this.mounts.sys);
    const { sys, loop, ledger } = this.turning;
    const add = loop.add.bind(loop);
    loop.add = (fd, events, handler) => {
      if (events === EPOLLPRI) this.mountsChanged = () => handler(events);
      add(fd, events, handler);
    };
    this.storage = new Storage({
      sys,
      loop,
      ledger,
      guard: new PosixGuard(ledger),
      self: SELF,
      timeLimit: () => 20_000,
      observer: this.observer,
      now: () => 1_000_000,
      inherited: undefined,
      deputySocket: "/nowhere/deputy-sock",
      sightOf: () => undefined,
      guests: () => [],
    });
  }

  /** Paths of mounts that have asked for a helper. */
  get busy(): string[] {
    return this.storage.status.filter(({ state }) => state === "working").map(({ mount }) =>
      mount?.point ?? "local"
    );
  }

  [Symbol.dispose](): void {
    this.storage.close();
    for (const first of this.#first) first.end();
    // Of a first helper that never ends here.
    for (const [fd] of [...this.turning.ledger.entries()]) {
      this.turning.loop.remove(fd);
      this.turning.ledger.close(fd);
    }
    this.turning[Symbol.dispose]();
    assert.deepEqual(openedSince(this.#before), []);
  }
}

function nfs(id: number, minor: number, point: string): string {
  return `${id} 27 0:${minor} / ${point} rw - nfs4 server:/export rw\n`;
}

Deno.test(
  "Storage locks, makes and removes local files at once, without a helper",
  inDirectory((directory) => {
    using stage = new Stage(nfs(40, 98, "/net"));
    const { files } = stage.storage;
    const path = `${directory}/d/a`;
    const done: unknown[] = [];
    files.makeDirectory(`${directory}/d`, (failure) => done.push(failure));
    files.create(path, false, (failure) => done.push(failure));
    let outcome: LockFilesOutcome | undefined;
    files.lock({ path, shared: false, autocreate: true, followLinks: false }, (what) => outcome = what);
    if (outcome?.kind !== "granted") throw new Error("The lock was not granted at once");
    const { fd, identity } = outcome;
    const release = { path, fd, lock: "ofd", shared: false, autocreate: true, force: false } as const;
    files.unlock(release, identity, () => assert.fail("slow"), (failure) => done.push(failure));
    files.remove(path, (failure) => done.push(failure));
    assert.deepEqual(done, [undefined, undefined, undefined, undefined]);
    assert.equal(stage.spawned.length, 0);
    assert.deepEqual([...Deno.readDirSync(`${directory}/d`)], []);
  }),
);

Deno.test("Storage starts this program as a helper, with little of its environment", () => {
  using stage = new Stage(nfs(40, 98, "/net"));
  stage.storage.files.remove("/net/a", () => {});
  const [spawned] = stage.spawned;
  assert.equal(spawned?.path, "/usr/sbin/virtlockd");
  assert.deepEqual(spawned?.argv, ["virtlockd", "internal-storage", "5"]);
  assert.deepEqual(spawned?.env, ["PATH=/bin", "HOME=/h"]);
});

Deno.test("Storage has one helper for all mounts of a filesystem, and one for each other filesystem", () => {
  using stage = new Stage(nfs(40, 98, "/a") + nfs(41, 98, "/b") + nfs(42, 97, "/c"));
  for (const path of ["/a/1", "/b/1", "/c/1", "/a/2"]) stage.storage.files.remove(path, () => {});
  assert.deepEqual(stage.busy, ["/a", "/c"]);
  assert.equal(stage.spawned.length, 1);
});

Deno.test("Storage finds a mount that was made after it, and forgets one that is gone", () => {
  using stage = new Stage("");
  stage.mounts.text = ROOT + nfs(40, 98, "/net");
  stage.mountsChanged();
  stage.storage.files.remove("/net/a", () => {});
  assert.deepEqual(stage.busy, ["/net"]);
  stage.mounts.text = ROOT;
  stage.mountsChanged();
  const done: unknown[] = [];
  stage.storage.files.remove("/net/a", (failure) => done.push(failure));
  assert.deepEqual(done, [undefined]);
});

Deno.test("Storage releases a file on a filesystem that is not mounted any more through the helper it had", () => {
  using stage = new Stage(nfs(40, 99, "/net"));
  stage.storage.files.remove("/net/a", () => {});
  stage.mounts.text = ROOT;
  stage.mountsChanged();
  const release = {
    path: "/net/a",
    fd: 0,
    lock: "ofd",
    shared: false,
    autocreate: false,
    force: false,
  } as const;
  stage.storage.files.unlock(release, IDENTITY, () => {}, () => assert.fail("released locally"));
  assert.deepEqual(stage.storage.status.map(({ waiting }) => waiting), [0, 1]);
});

Deno.test("Storage releases a file by its filesystem, wherever its path leads by now", () => {
  using stage = new Stage(nfs(40, 99, "/net"));
  const release = {
    path: "/local/a",
    fd: 0,
    lock: "ofd",
    shared: false,
    autocreate: false,
    force: false,
  } as const;
  stage.storage.files.unlock(release, IDENTITY, () => {}, () => {});
  assert.deepEqual(stage.busy, ["/net"]);
});

Deno.test("Storage releases a file of an unknown filesystem by its path", () => {
  using stage = new Stage(nfs(40, 98, "/net"));
  const release = {
    path: "/net/a",
    fd: 0,
    lock: "ofd",
    shared: false,
    autocreate: false,
    force: false,
  } as const;
  stage.storage.files.unlock(release, IDENTITY, () => {}, () => {});
  assert.deepEqual(stage.busy, ["/net"]);
});

function holder(stage: Stage, path: string, pid: number): ForeignHolder | undefined {
  let found: ForeignHolder | undefined;
  stage.storage.findHolder(path, IDENTITY, pid, (holder) => found = holder);
  return found;
}

Deno.test("Storage.findHolder() names the process of a POSIX lock on a local file at once", () => {
  using stage = new Stage(nfs(40, 98, "/net"));
  const command = Deno.readTextFileSync("/proc/self/comm").trim();
  assert.deepEqual(holder(stage, "/a", Deno.pid), { kind: "process", pid: Deno.pid, command });
  assert.equal(stage.spawned.length, 0);
});

Deno.test("Storage.findHolder() has a helper look for every other holder", () => {
  using stage = new Stage(nfs(40, 99, "/net"));
  assert.equal(holder(stage, "/net/a", Deno.pid), undefined);
  assert.deepEqual(stage.busy, ["/net"]);
  using local = new Stage("");
  assert.equal(holder(local, "/a", -1), undefined);
  assert.deepEqual(local.busy, ["local"]);
});

Deno.test(
  "Storage refuses a local file that another has locked, at once",
  inDirectory((directory) => {
    using stage = new Stage(nfs(40, 98, "/net"));
    const path = `${directory}/a`;
    const sys = linuxSys();
    const fd = must(sys.open(path, O_RDWR | O_CREAT, 0o600), "open", path);
    must(sys.ofdLock(fd, F_WRLCK, 0, 1), "lock", path);
    const status = emptyStatus();
    sys.fstat(fd, status);
    let outcome: LockFilesOutcome | undefined;
    stage.storage.files.lock(
      { path, shared: false, autocreate: false, followLinks: true },
      (what) => outcome = what,
    );
    sys.close(fd);
    assert.deepEqual(outcome, { kind: "busy", identity: identityOf(status), pid: -1 });
  }),
);
