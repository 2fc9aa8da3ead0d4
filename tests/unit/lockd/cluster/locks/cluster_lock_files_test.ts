import assert from "node:assert/strict";
import type { DeviceIdentity } from "../../../../../src/lockd/cluster/keys/device_identity.ts";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import { ClusterLockFiles } from "../../../../../src/lockd/cluster/locks/cluster_lock_files.ts";
import { GrantedLocks } from "../../../../../src/lockd/cluster/locks/granted_locks.ts";
import { refusingFiles } from "../../../../../src/lockd/cluster/locks/refusing_files.ts";
import type { NotTaken, Taken } from "../../../../../src/lockd/cluster/locks/wanted_lock.ts";
import type { LockRequest } from "../../../../../src/lockd/lockspace/lock_file.ts";
import type { LockFiles, LockFilesOutcome } from "../../../../../src/lockd/lockspace/lock_files.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const WEB = { pid: 100, name: "web", uuid: "u-web", id: 1 };
const IDENTITY = { devMajor: 8, devMinor: 1, inodeLow: 3, inodeHigh: 0 };
const LOCK = { key: "k", own: "o", value: "v" };
const GRANTED: LockFilesOutcome = { kind: "granted", fd: 7, identity: IDENTITY };
const BY = {
  kind: "host",
  host: "kvm2",
  shared: false,
  domain: "db",
  uuid: "u-db",
  pid: 9,
  since: 1,
} as const;

/** A host whose kernel and etcd answer as a test says. */
class Host {
  readonly time = new PlayedTime();
  readonly told: string[] = [];
  readonly granted = new GrantedLocks({ end: () => {} });
  kernel: LockFilesOutcome = GRANTED;
  /** How long the kernel takes, in ms. */
  slowness = 0;
  taken: Taken = { kind: "taken", lock: LOCK, changed: [] };
  cleared: "free" | NotTaken = "free";
  /** Whether etcd answers a release. */
  answers = true;
  device: DeviceIdentity | undefined;
  readonly names = new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path);
  readonly own: LockFiles = {
    lock: (_request, done) => {
      this.told.push("kernel locks");
      if (this.slowness === 0) return done(this.kernel);
      this.time.after(this.slowness, () => done(this.kernel));
    },
    unlock: (_request, _identity, _slow, done) => {
      this.told.push("kernel unlocks");
      done(undefined);
    },
    create: () => assert.fail(),
    remove: () => assert.fail(),
    makeDirectory: () => assert.fail(),
    checkDirectory: () => assert.fail(),
  };
  readonly files = new ClusterLockFiles({
    files: this.own,
    names: this.names,
    devices: { of: () => this.device, at: () => undefined },
    mayHang: () => false,
    locks: {
      take: ({ name, limit }, done) => {
        this.told.push(`etcd takes ${name.space}/${name.name} within ${limit.left}`);
        done(this.taken);
      },
      clear: (_wanted, done) => {
        this.told.push("others are asked");
        done(this.cleared);
      },
    },
    turns: {
      give: ({ key }, done, mark) => {
        this.told.push(`etcd gives ${key}, mark ${mark?.key}`);
        if (this.answers) done(undefined);
      },
    },
    granted: this.granted,
    kept: {
      markFor: (_name, paused) => paused === undefined ? undefined : { key: "mark", own: "o", value: "v" },
    },
    loop: this.time.loop(),
    clock: () => this.time.now,
    now: () => 5,
    patience: () => 1000,
    joining: () => 0,
    markOf: ({ pid }) => ({ pid, start: 9 }),
    recorded: (go) => {
      this.told.push("recorded");
      go();
    },
    whenKnown: (ready) => ready(),
  });

  /** @param within how long who asks may wait still, in ms */
  lock(path: string, within = Infinity, files: LockFiles = this.files): LockFilesOutcome[] {
    const outcomes: LockFilesOutcome[] = [];
    const request: LockRequest = {
      path,
      shared: false,
      autocreate: true,
      followLinks: false,
      owner: WEB,
      within,
    };
    files.lock(request, (outcome) => void outcomes.push(outcome));
    return outcomes;
  }

  unlock(paused: boolean): { slow: string[]; done: boolean } {
    const ended = { slow: [] as string[], done: false };
    const request = {
      path: "/scsi/disk",
      fd: 7,
      lock: "ofd",
      shared: false,
      autocreate: true,
      force: true,
    } as const;
    this.files.unlock(
      paused ? { ...request, paused: WEB } : request,
      IDENTITY,
      (failure) => void ended.slow.push("reason" in failure ? failure.reason : failure.kind),
      () => void (ended.done = true),
    );
    return ended;
  }
}

Deno.test("the kernel's lock comes first, then etcd's, and it is known which one that is", () => {
  const host = new Host();
  assert.deepEqual(host.lock("/scsi/disk"), [GRANTED]);
  assert.deepEqual(host.told, ["kernel locks", "etcd takes scsi/disk within 1000"]);
  assert.equal(host.granted.of("/scsi/disk"), LOCK);
});

Deno.test("what etcd does not give the kernel's lock is given up for, and the refusal names who has it", () => {
  const host = new Host();
  host.taken = { kind: "held", by: BY };
  assert.deepEqual(host.lock("/scsi/disk"), [{ kind: "elsewhere", by: BY }]);
  assert.deepEqual(host.told.slice(2), ["kernel unlocks"]);
  assert.equal(host.granted.count, 0);
  host.taken = { kind: "failed", reason: "etcd does not answer" };
  assert.deepEqual(host.lock("/scsi/disk"), [{
    kind: "storage",
    action: "Unable to acquire lock on resource /scsi/disk",
    reason: "etcd does not answer",
  }]);
});

Deno.test("a file that the kernel has locked for another host is tried again once nobody has it in etcd", () => {
  const host = new Host();
  host.kernel = { kind: "busy" } as LockFilesOutcome;
  const outcomes = host.lock("/scsi/disk");
  assert.deepEqual([outcomes, host.told], [[], ["kernel locks", "others are asked"]]);
  host.kernel = GRANTED;
  host.time.advance();
  assert.deepEqual(outcomes, [GRANTED]);
  const refused = new Host();
  refused.kernel = { kind: "busy" } as LockFilesOutcome;
  refused.cleared = { kind: "held", by: BY };
  assert.deepEqual(refused.lock("/scsi/disk"), [{ kind: "elsewhere", by: BY }]);
});

Deno.test("a host may take as long to unlock a file, over a slow NFS, as an answer of storage is waited for", () => {
  const slow = new Host();
  slow.kernel = { kind: "busy" } as LockFilesOutcome;
  const outcomes = slow.lock("/scsi/disk");
  while (slow.time.now < 700) slow.time.advance();
  assert.deepEqual(outcomes, []);
  slow.kernel = GRANTED;
  while (outcomes.length === 0) slow.time.advance();
  assert.deepEqual(outcomes, [GRANTED]);
});

Deno.test("a file that stays locked is refused after that time, and was not tried without a pause", () => {
  const host = new Host();
  host.kernel = { kind: "busy" } as LockFilesOutcome;
  const outcomes = host.lock("/scsi/disk");
  while (outcomes.length === 0) host.time.advance();
  assert.deepEqual(outcomes, [{ kind: "busy" }]);
  // After 0, 50, 150, 350, 750 and 1250 ms.
  assert.equal(host.time.now, 1250);
  assert.equal(host.told.filter((each) => each === "kernel locks").length, 6);
});

Deno.test("a file elsewhere is this host's own matter", () => {
  const host = new Host();
  assert.deepEqual(host.lock("/elsewhere/disk"), [GRANTED]);
  assert.deepEqual(host.told, ["kernel locks"]);
});

Deno.test("a device is the cluster's by its name, and one whose name cannot be told now is not locked", () => {
  const host = new Host();
  host.device = { kind: "shared", name: { space: "scsi", name: "3600" } };
  assert.deepEqual(host.lock("/dev/sda"), [GRANTED]);
  assert.deepEqual(host.told, ["kernel locks", "etcd takes scsi/3600 within 1000"]);
  const local = new Host();
  local.device = { kind: "local", reason: "no name" };
  assert.deepEqual(local.lock("/dev/sda"), [GRANTED]);
  assert.deepEqual(local.told, ["kernel locks"]);
  const untold = new Host();
  untold.device = { kind: "untold", reason: "too many open files" };
  assert.deepEqual(untold.lock("/dev/sda"), [{
    kind: "storage",
    action: "Unable to acquire lock on resource /dev/sda",
    reason: "whether other hosts have this device too cannot be told: too many open files",
  }]);
  assert.deepEqual(untold.told, ["kernel locks", "kernel unlocks"]);
});

Deno.test("a path that is refused keeps its name as long as a lock is held by it", () => {
  const host = new Host();
  const path = "/alias/disk";
  host.names.learn(path, { space: "scsi", name: "disk" });
  host.lock(path);
  host.taken = { kind: "held", by: BY };
  assert.equal(host.lock(path)[0]?.kind, "elsewhere");
  assert.deepEqual(host.names.of(path), { space: "scsi", name: "disk" });
});

Deno.test("etcd's lock is given back first, behind what was recorded, and the kernel's last", () => {
  const host = new Host();
  host.lock("/scsi/disk");
  host.told.length = 0;
  assert.deepEqual(host.unlock(true), { slow: [], done: true });
  assert.deepEqual(host.told, ["recorded", "etcd gives k, mark mark", "kernel unlocks"]);
  assert.equal(host.granted.count, 0);
});

Deno.test("a release that etcd does not answer goes on, and whoever waits is told so", () => {
  const host = new Host();
  host.lock("/scsi/disk");
  host.answers = false;
  const ended = host.unlock(false);
  assert.deepEqual(ended, { slow: [], done: false });
  host.time.advance();
  assert.deepEqual(ended, { slow: ["etcd does not answer; it goes on"], done: false });
  // Until etcd has it no more the kernel keeps it too.
  assert.equal(host.told.includes("kernel unlocks"), false);
});

Deno.test("who asks waits for etcd as long as is left behind all that he has waited for", () => {
  const host = new Host();
  // Its storage has taken a while.
  host.slowness = 300;
  assert.deepEqual(host.lock("/scsi/disk"), []);
  host.time.advance();
  assert.deepEqual(host.told, ["kernel locks", "etcd takes scsi/disk within 700"]);
  const waited = new Host();
  waited.lock("/scsi/disk", 400);
  assert.deepEqual(waited.told, ["kernel locks", "etcd takes scsi/disk within 400"]);
  // Waiting for the host that gives up the kernel's lock is not waiting for etcd.
  const slow = new Host();
  slow.kernel = { kind: "busy", identity: IDENTITY, pid: 0 };
  const outcomes = slow.lock("/scsi/disk", 400);
  while (slow.time.now < 700) slow.time.advance();
  slow.kernel = GRANTED;
  while (outcomes.length === 0) slow.time.advance();
  assert.equal(slow.told.at(-1), "etcd takes scsi/disk within 400");
});

Deno.test("a host that cannot be a member does not ask for a device that it refuses: no guest of another host loses it for that", () => {
  const host = new Host();
  host.device = { kind: "shared", name: { space: "scsi", name: "3600" } };
  const reason = "its id has changed";
  const files = refusingFiles(host.files, host.own, () => false, () => true, () => reason);
  assert.deepEqual(host.lock("/dev/sda", Infinity, files), [
    { kind: "storage", action: "Unable to acquire lock on resource /dev/sda", reason },
  ]);
  assert.deepEqual(host.told, ["kernel locks", "kernel unlocks"]);
});
