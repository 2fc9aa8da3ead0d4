import assert from "node:assert/strict";
import { type FileIdentity, identityOf } from "../../../../src/lockd/lockspace/file_identity.ts";
import {
  lockFile,
  type LockOutcome,
  type LockRequest,
  unlockFile,
  type UnlockRequest,
} from "../../../../src/lockd/lockspace/lock_file.ts";
import { F_RDLCK, F_UNLCK, F_WRLCK, O_CREAT, O_RDWR } from "../../../../src/os/constants.ts";
import { emptyStatus, type FileStatus, type FileSys } from "../../../../src/os/sys.ts";
import { kernel, lockOn } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const EXCLUSIVE = { shared: false, autocreate: false, followLinks: true };

/** Locks a file; the descriptors that were closed are counted. */
function lock(path: string, options: Partial<LockRequest> = {}, sys: FileSys = kernel): LockOutcome {
  return lockFile(sys, { path, ...EXCLUSIVE, ...options }, (fd) => kernel.close(fd));
}

function granted(outcome: LockOutcome): number {
  return outcome.kind === "granted" ? outcome.fd : assert.fail(JSON.stringify(outcome));
}

function identity(path: string): FileIdentity {
  const status = emptyStatus();
  assert.equal(kernel.stat(path, status), 0);
  return identityOf(status);
}

/** The kernel with calls that fail. */
function failing(calls: Partial<Record<keyof FileSys, number>>): FileSys {
  return {
    ...kernel,
    ...Object.fromEntries(Object.entries(calls).map(([name, errno]) => [name, () => -errno])),
  };
}

Deno.test("lockFile() grants what the kernel grants, and tells which file it is", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const outcome = lock(path);
  const fd = granted(outcome);
  assert.deepEqual(outcome, { kind: "granted", fd, identity: identity(path) });
  assert.deepEqual(lockOn(path), { mode: "exclusive", pid: -1 });
  kernel.close(fd);
  const shared = [granted(lock(path, { shared: true })), granted(lock(path, { shared: true }))];
  assert.deepEqual(lockOn(path), { mode: "shared", pid: -1 });
  for (const one of shared) kernel.close(one);
});

Deno.test("lockFile() tells of a held file which one it is and what kind of lock is in the way", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  Deno.linkSync(path, scratch.file("alias"));
  const before = openDescriptors();
  const fd = granted(lock(path));
  assert.deepEqual(lock(scratch.file("alias")), { kind: "busy", identity: identity(path), pid: -1 });
  assert.deepEqual(lock(path, { shared: true }), { kind: "busy", identity: identity(path), pid: -1 });
  kernel.close(fd);
  const posix = kernel.open(path, O_RDWR, 0);
  assert.equal(kernel.posixLock(posix, F_WRLCK, 0, 1), 0);
  // It closes a descriptor of the file, which ends the POSIX lock.
  assert.deepEqual(lock(path), { kind: "busy", identity: identity(path), pid: Deno.pid });
  kernel.close(posix);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("lockFile() makes a file with mode 0600 when it is asked to", () => {
  using scratch = new Scratch();
  const path = scratch.file("new");
  assert.deepEqual(lock(path), { kind: "failed", action: `Unable to open resource ${path}`, errno: 2 });
  kernel.close(granted(lock(path, { autocreate: true })));
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o7777, 0o600);
});

Deno.test("lockFile() follows a symbolic link where it may, and else tells what is behind it", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const link = scratch.file("link");
  Deno.symlinkSync(path, link);
  kernel.close(granted(lock(link)));
  const action = `Unable to open resource ${link}`;
  assert.deepEqual(lock(link, { followLinks: false }), {
    kind: "failed",
    action,
    errno: 40,
    target: identity(path),
  });
  Deno.removeSync(path);
  assert.deepEqual(lock(link, { followLinks: false }), { kind: "failed", action, errno: 40 });
  const creating = { autocreate: true, followLinks: false };
  assert.equal(lock(link, creating).kind, "failed");
  assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
});

Deno.test("lockFile() reports what failed and leaves nothing open", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const before = openDescriptors();
  const cases: [Partial<Record<keyof FileSys, number>>, string, number][] = [
    [{ open: 24 }, `Unable to open/create resource ${path}`, 24],
    [{ fstat: 5 }, `Unable to check status of resource ${path}`, 5],
    [{ ofdLock: 37 }, `Unable to acquire lock on resource ${path}`, 37],
    [{ stat: 116 }, `Unable to check status of resource ${path}`, 116],
  ];
  for (const [calls, action, errno] of cases) {
    const outcome = lock(path, { autocreate: true }, failing(calls));
    assert.deepEqual(outcome, { kind: "failed", action, errno });
    assert.deepEqual(openedSince(before), []);
    assert.deepEqual(lockOn(path), { mode: "none", pid: 0 });
  }
});

Deno.test("lockFile() tells of a holder that cannot be asked for", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const fd = granted(lock(path));
  assert.deepEqual(lock(path, {}, failing({ ofdProbe: 37 })), {
    kind: "busy",
    identity: identity(path),
    pid: 0,
  });
  kernel.close(fd);
});

Deno.test("lockFile() tries again when the file was unlinked before it was locked", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  let replaced = 0;
  const sys: FileSys = {
    ...kernel,
    ofdLock(fd, type, start, length) {
      // Another host gets in between, twice: it unlinks the file, and makes a new one the first time.
      if (type === F_WRLCK && replaced++ < 2) {
        Deno.removeSync(path);
        if (replaced === 1) scratch.write("file");
      }
      return kernel.ofdLock(fd, type, start, length);
    },
  };
  const before = openDescriptors();
  const outcome = lock(path, { autocreate: true }, sys);
  const fd = granted(outcome);
  assert.equal(replaced, 3);
  assert.deepEqual(outcome, { kind: "granted", fd, identity: identity(path) });
  assert.deepEqual(lockOn(path), { mode: "exclusive", pid: -1 });
  kernel.close(fd);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("lockFile() gives up on a file that keeps being replaced", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const other = scratch.write("other");
  let tries = 0;
  const sys: FileSys = {
    ...kernel,
    stat(_path: string, into: FileStatus) {
      tries++;
      return kernel.stat(other, into);
    },
  };
  const before = openDescriptors();
  const action = `Unable to acquire lock, because its file keeps being replaced, on resource ${path}`;
  assert.deepEqual(lock(path, { autocreate: true }, sys), { kind: "failed", action, errno: 11 });
  assert.equal(tries, 100);
  assert.deepEqual(openedSince(before), []);
});

/** The kernel, which opens nothing for writing. `opened`: how often it was asked to open. */
function readOnly(errno: number): { sys: FileSys; opened: () => number } {
  let opened = 0;
  const open: FileSys["open"] = (path, flags, mode) => {
    opened++;
    return (flags & (O_RDWR | O_CREAT)) !== 0 ? -errno : kernel.open(path, flags, mode);
  };
  return { sys: { ...kernel, open }, opened: () => opened };
}

Deno.test("lockFile() takes a shared lock on what cannot be written through a descriptor for reading", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  // EROFS, EACCES, EPERM, ETXTBSY
  for (const errno of [30, 13, 1, 26]) {
    for (const autocreate of [false, true]) {
      const fd = granted(lock(path, { shared: true, autocreate }, readOnly(errno).sys));
      assert.deepEqual(lockOn(path), { mode: "shared", pid: -1 });
      const request = { path, fd, lock: "ofd", shared: true, autocreate, force: false } as const;
      assert.equal(unlockFile(kernel, request), undefined);
      kernel.close(fd);
      assert.deepEqual(lockOn(path), { mode: "none", pid: 0 });
    }
    const exclusive = readOnly(errno);
    const failed = { kind: "failed", action: `Unable to open resource ${path}`, errno };
    assert.deepEqual(lock(path, {}, exclusive.sys), failed);
    assert.equal(exclusive.opened(), 1);
  }
});

Deno.test("lockFile() reports why a file cannot be opened for writing when reading does not help either", () => {
  using scratch = new Scratch();
  const path = scratch.file("absent");
  const failed = (errno: number) => ({ kind: "failed", action: `Unable to open resource ${path}`, errno });
  assert.deepEqual(lock(path, { shared: true }, readOnly(30).sys), failed(30));
  // What is no question of rights is not tried again.
  const absent = readOnly(5);
  assert.deepEqual(lock(path, { shared: true }, absent.sys), failed(5));
  assert.equal(absent.opened(), 1);
});

/** Locks a file and releases it with faults. @returns what failed, and what is on the file then */
function release(options: Partial<UnlockRequest>, sys: FileSys = kernel) {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const { shared = false } = options;
  const fd = granted(lock(path, { shared }));
  const failure = unlockFile(sys, {
    path,
    fd,
    lock: "ofd",
    shared,
    autocreate: false,
    force: false,
    ...options,
  });
  const mode = kernel.access(path, 0) === 0 ? lockOn(path).mode : "gone";
  kernel.close(fd);
  return { failure: failure && { ...failure, action: failure.action.replace(scratch.path, "") }, mode };
}

Deno.test("unlockFile() gives the lock up and leaves the file", () => {
  assert.deepEqual(release({}), { failure: undefined, mode: "none" });
  assert.deepEqual(release({ shared: true }), { failure: undefined, mode: "none" });
});

Deno.test("unlockFile() unlinks an autocreated file", () => {
  assert.deepEqual(release({ autocreate: true }), { failure: undefined, mode: "gone" });
  assert.deepEqual(release({ autocreate: true, shared: true }), { failure: undefined, mode: "gone" });
});

Deno.test("unlockFile() keeps the lock when the file cannot be unlinked, unless it is forced", () => {
  const action = "Unable to unlink resource /file";
  const sys = failing({ unlink: 30 });
  assert.deepEqual(release({ autocreate: true }, sys), {
    failure: { action, errno: 30, released: false },
    mode: "exclusive",
  });
  assert.deepEqual(release({ autocreate: true, force: true }, sys), {
    failure: { action, errno: 30, released: true },
    mode: "none",
  });
  assert.deepEqual(release({ autocreate: true }, failing({ unlink: 2 })), {
    failure: undefined,
    mode: "none",
  });
});

Deno.test("unlockFile() says so when the kernel does not release", () => {
  const action = "Unable to release lock on resource /file";
  assert.deepEqual(release({}, failing({ ofdLock: 37 })), {
    failure: { action, errno: 37, released: false },
    mode: "exclusive",
  });
});

Deno.test("unlockFile() leaves a shared autocreated file that somebody else has locked too", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const [fd, other] = [granted(lock(path, { shared: true })), granted(lock(path, { shared: true }))];
  const request = { path, lock: "ofd", shared: true, autocreate: true, force: false } as const;
  assert.equal(unlockFile(kernel, { ...request, fd }), undefined);
  assert.deepEqual(lockOn(path), { mode: "shared", pid: -1 });
  assert.equal(unlockFile(kernel, { ...request, fd: other }), undefined);
  assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
  kernel.close(fd);
  kernel.close(other);
});

Deno.test("unlockFile() leaves a POSIX lock to the close of its descriptor", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const fd = kernel.open(path, O_RDWR, 0);
  assert.equal(kernel.posixLock(fd, F_RDLCK, 0, 1), 0);
  const request = { path, fd, lock: "posix", shared: true, force: false } as const;
  assert.equal(unlockFile(kernel, { ...request, autocreate: false }), undefined);
  const probe = { type: F_UNLCK, pid: 0 };
  assert.equal(kernel.ofdProbe(fd, F_WRLCK, 0, 1, probe), 0);
  assert.deepEqual(probe, { type: F_RDLCK, pid: Deno.pid });
  assert.equal(unlockFile(kernel, { ...request, autocreate: true }), undefined);
  assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
  kernel.close(fd);
});
