import assert from "node:assert/strict";
import type { Timer } from "../../../../src/chassis/event/event_loop.ts";
import { DEAF, UNWATCHED } from "../../../support/deaf_observer.ts";
import { ANYWHERE } from "../../../support/anywhere.ts";
import { NOTHING_WRITTEN } from "../../../support/nothing_written.ts";
import { InheritedLocks } from "../../../../src/lockd/daemon/inherited_locks.ts";
import { identityOf } from "../../../../src/lockd/lockspace/file_identity.ts";
import { LocalLockFiles } from "../../../../src/lockd/lockspace/lock_files.ts";
import { LockTable } from "../../../../src/lockd/lockspace/lock_table.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { F_RDLCK, F_WRLCK, O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR } from "../../../../src/os/constants.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { emptyStatus, type Sys } from "../../../../src/os/sys.ts";
import { kernel, lockOn, type LockOnFile } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";
import { fileOf } from "../../../support/file_handle.ts";

const OWNER = { pid: 77, name: "alpha", uuid: "6ba7b810-9dad-41d1-80b4-000000000001", id: 1 };
const OFD: LockOnFile = { mode: "exclusive", pid: -1 };
const POSIX: LockOnFile = { mode: "exclusive", pid: Deno.pid };
/** Answers of storage that does not answer at once. */
type Probe = { path: string; done: (reason: string | undefined) => void };

/** A table of real files with real locks, and what is to convert them. */
class Stage implements Disposable {
  readonly scratch = new Scratch();
  readonly ledger = new DescriptorLedger(kernel);
  readonly guard = new PosixGuard(this.ledger);
  readonly logged: string[] = [];
  readonly recast: string[] = [];
  readonly timers: (() => void)[] = [];
  readonly probes: Probe[] = [];
  /** Directory in which storage may hang. */
  slow = "none";
  readonly table: LockTable;
  readonly locks: InheritedLocks;
  #nextId = 1;

  constructor(faults: Partial<Sys> = {}) {
    const sys = { ...kernel, ...faults };
    this.table = new LockTable({
      files: new LocalLockFiles(sys, this.guard),
      ledger: this.ledger,
      guard: this.guard,
      observer: {
        ...DEAF,
        recast: (resource) =>
          this.recast.push(`${resource.name} ${fileOf(resource).lock} ${resource.state.kind}`),
      },
      ...ANYWHERE,
      ...UNWATCHED,
      ...NOTHING_WRITTEN,
      findHolder: (_path, _identity, _pid, done) => done({ kind: "unknown" }),
      now: () => 5000,
    });
    const say = (level: string) => (message: string | (() => string)) =>
      void this.logged.push(`${level}: ${typeof message === "string" ? message : message()}`);
    this.locks = new InheritedLocks({
      sys,
      loop: {
        after: (_milliseconds, task): Timer => {
          this.timers.push(task);
          return { due: 0, cancel() {} };
        },
      },
      table: this.table,
      storage: {
        mayHang: (path) => path.includes(this.slow),
        probe: (path, _identity, _fd, done) => void this.probes.push({ path, done }),
      },
      log: {
        enabled: () => true,
        debug: say("debug"),
        info: say("info"),
        notice: say("notice"),
        warn: say("warn"),
        error: say("error"),
      },
    });
  }

  /** A resource of the table, whose file has such a lock of this process. */
  add(name: string, lock: "ofd" | "posix", parts: { shared?: boolean; file?: string } = {}): Resource {
    const { shared = false, file = name } = parts;
    const path = this.scratch.file(file);
    const fd = kernel.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
    const set = lock === "ofd" ? kernel.ofdLock : kernel.posixLock;
    assert.equal(set(fd, shared ? F_RDLCK : F_WRLCK, 0, 1), 0);
    const status = emptyStatus();
    kernel.fstat(fd, status);
    const resource: Resource = {
      id: this.#nextId++,
      lockspace: "",
      name,
      path,
      handle: {
        kind: "file",
        fd: this.ledger.own(fd, "lock"),
        identity: { ...identityOf(status), ...(path.includes(this.slow) ? { devMajor: 999 } : {}) },
        lock,
      },
      shared,
      autocreate: false,
      holdings: [{ owner: OWNER, since: 1 }],
      state: { kind: "held" },
    };
    this.table.restoreResource(resource);
    return resource;
  }

  on(name: string): LockOnFile {
    return lockOnKeeping(this.scratch.file(name));
  }

  [Symbol.dispose](): void {
    for (const [fd] of [...this.ledger.entries()]) this.ledger.close(fd);
    this.scratch[Symbol.dispose]();
  }
}

/** What another process would see; this one must not close the file, so another one looks. */
function lockOnKeeping(path: string): LockOnFile {
  const script = `
    import { lockOn } from "${import.meta.resolve("../../../support/kernel.ts")}";
    console.log(JSON.stringify(lockOn(${JSON.stringify(path)})));`;
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["eval", script] }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout));
}

const WHOSE = `of domain 'alpha' (uuid ${OWNER.uuid}, pid 77)`;

Deno.test("InheritedLocks convert() makes POSIX locks those of descriptions", () => {
  using it = new Stage();
  const disk = it.add("disk", "posix");
  const shared = it.add("shared", "posix", { shared: true });
  const sharedToo = it.add("shared-too", "posix", { shared: true, file: "shared" });
  it.add("ours", "ofd");
  it.locks.convert();
  assert.deepEqual([disk, shared, sharedToo].map((each) => fileOf(each).lock), ["ofd", "ofd", "ofd"]);
  assert.deepEqual([lockOn(disk.path), lockOn(shared.path)], [OFD, { mode: "shared", pid: -1 }]);
  assert.ok(!it.guard.active);
  assert.deepEqual(it.recast, ["disk ofd held", "shared ofd held", "shared-too ofd held"]);
  assert.deepEqual(it.logged, [
    "info: 3 POSIX locks of libvirt's daemon are locks of open file descriptions now, and were never free",
  ]);
});

Deno.test("InheritedLocks convert() leaves two names that have one file exclusively as they are", () => {
  using it = new Stage();
  const disk = it.add("disk", "posix");
  it.add("twin", "posix", { file: "disk" });
  it.locks.convert();
  assert.equal(fileOf(disk).lock, "posix");
  assert.deepEqual(it.on("disk"), POSIX);
  assert.deepEqual(it.logged, [
    `warn: The lock on 'disk' ${WHOSE} is still a POSIX lock, as libvirt's daemon made it, and would end with this ` +
    "process: its file is locked as 'twin' too",
    `warn: The lock on 'twin' ${WHOSE} is still a POSIX lock, as libvirt's daemon made it, and would end with this ` +
    "process: its file is locked as 'disk' too",
  ]);
});

Deno.test("InheritedLocks convert() touches a file on storage that may hang only when that has answered", () => {
  using it = new Stage();
  it.slow = "slow";
  const [answers, silent, gone] = ["slow-1", "slow-2", "slow-3"].map((name) => it.add(name, "posix"));
  it.locks.convert();
  assert.deepEqual(it.probes.length, 3);
  assert.deepEqual([answers, silent].map((each) => fileOf(each).lock), ["posix", "posix"]);
  it.probes[0]?.done(undefined);
  assert.equal(fileOf(answers).lock, "ofd");
  it.probes[1]?.done("it did not answer within 20 s");
  assert.equal(fileOf(silent).lock, "posix");
  assert.match(it.logged.join(), /'slow-2' .* would end with this process: it did not answer within 20 s/);
  assert.ok(gone !== undefined);
  it.table.release("", gone.name, OWNER, () => {});
  it.probes[2]?.done(undefined);
  assert.deepEqual(it.recast, ["slow-1 ofd held"]);
});

Deno.test("InheritedLocks keeps a lock that somebody shares, says so, and makes it whole when it can", () => {
  const reader: number[] = [];
  using it = new Stage({
    ofdLock: (fd, type, start, length) => {
      const result = kernel.ofdLock(fd, type, start, length);
      if (type === F_RDLCK) { for (const each of reader) kernel.ofdLock(each, F_RDLCK, 0, 1); }
      return result;
    },
  });
  const disk = it.add("disk", "posix");
  reader.push(kernel.open(disk.path, O_RDONLY | O_CLOEXEC, 0));
  it.locks.convert();
  assert.equal(fileOf(disk).lock, "ofd");
  const reason = "somebody else got a shared lock on its file, so it could only be kept as a shared one " +
    "(F_OFD_SETLK F_WRLCK: Resource temporarily unavailable)";
  assert.deepEqual(disk.state, { kind: "doubtful", reason });
  assert.deepEqual(it.logged[0], `error: The lock on 'disk' ${WHOSE} is in doubt: ${reason}`);
  it.timers.shift()?.();
  assert.equal(disk.state.kind, "doubtful");
  kernel.close(reader.pop() ?? -1);
  it.timers.shift()?.();
  assert.deepEqual(disk.state, { kind: "held" });
  assert.deepEqual(lockOn(disk.path), OFD);
  assert.equal(it.timers.length, 0);
  assert.match(it.logged.at(-1) ?? "", /^warn: The lock on 'disk' .* is exclusive again/);
});

Deno.test("InheritedLocks give() makes all locks POSIX locks, and take() takes them back", () => {
  using it = new Stage();
  it.add("disk", "ofd");
  it.add("shared", "ofd", { shared: true });
  it.locks.prepare(() => {});
  assert.equal(it.locks.give(), undefined);
  assert.deepEqual(it.on("disk"), POSIX);
  assert.deepEqual(it.on("shared"), { mode: "shared", pid: Deno.pid });
  it.locks.take();
  assert.deepEqual([lockOn(it.scratch.file("disk")), lockOn(it.scratch.file("shared"))], [
    OFD,
    { mode: "shared", pid: -1 },
  ]);
  assert.deepEqual([it.recast, it.logged], [[], []]);
});

Deno.test("InheritedLocks give() leaves a description's lock where a POSIX lock would not hold", () => {
  using old = new Stage({ open: osrelease("4.18.0-513.el8.x86_64") });
  old.add("disk", "ofd");
  assert.equal(old.locks.give(), undefined);
  assert.deepEqual(lockOn(old.scratch.file("disk")), OFD);
  using it = new Stage();
  it.add("disk", "ofd", { shared: true });
  it.add("twin", "ofd", { shared: true, file: "disk" });
  assert.equal(it.locks.give(), undefined);
  assert.deepEqual(lockOn(it.scratch.file("disk")), { mode: "shared", pid: -1 });
});

Deno.test("InheritedLocks give() refuses when a lock could be given back by nobody, and gives nothing", () => {
  // What the kernel shows no lock of is locked elsewhere.
  using it = new Stage({
    open: (path, flags, mode) => path.startsWith("/proc/self/fdinfo/") ? -2 : kernel.open(path, flags, mode),
  });
  it.slow = "slow";
  it.add("disk", "ofd");
  it.add("slow", "ofd");
  let prepared = false;
  it.locks.prepare(() => prepared = true);
  assert.ok(!prepared);
  it.probes[0]?.done("it did not answer within 20 s");
  assert.ok(prepared);
  assert.equal(
    it.locks.give(),
    `The lock on 'slow' ${WHOSE} would stay locked for ever: its file system keeps locks until they are released ` +
      "explicitly, which libvirt's daemon does not do, and it did not answer within 20 s",
  );
  assert.deepEqual([lockOn(it.scratch.file("disk")), lockOn(it.scratch.file("slow"))], [OFD, OFD]);
});

Deno.test("InheritedLocks give() refuses when somebody shares a lock meanwhile, and gives nothing", () => {
  let reader = -1;
  using it = new Stage({
    ofdLock: (fd, type, start, length) => {
      const result = kernel.ofdLock(fd, type, start, length);
      if (type === F_RDLCK && reader >= 0) kernel.ofdLock(reader, F_RDLCK, 0, 1);
      return result;
    },
  });
  it.add("disk", "ofd");
  const second = it.add("second", "ofd");
  reader = kernel.open(second.path, O_RDONLY | O_CLOEXEC, 0);
  assert.match(
    it.locks.give() ?? "",
    /^The lock on 'second' .* could not be made a POSIX lock: F_SETLK F_WRLCK: Resource temporarily unavailable$/,
  );
  assert.equal(second.state.kind, "doubtful");
  assert.deepEqual(lockOn(it.scratch.file("disk")), OFD);
  kernel.close(reader);
});

/** The kernel, as a release of its own. */
function osrelease(release: string): Sys["open"] {
  const file = Deno.makeTempFileSync();
  Deno.writeTextFileSync(file, `${release}\n`);
  return (path, flags, mode) => kernel.open(path === "/proc/sys/kernel/osrelease" ? file : path, flags, mode);
}
