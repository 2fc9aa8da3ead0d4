import assert from "node:assert/strict";
import { identityOf } from "../../../../src/lockd/lockspace/file_identity.ts";
import {
  createFile,
  LocalLockFiles,
  type LockFilesOutcome,
  makeDirectory,
  removeFile,
  type UnlockFailed,
} from "../../../../src/lockd/lockspace/lock_files.ts";
import type { FileFailure } from "../../../../src/lockd/lockspace/file_failure.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import { F_WRLCK, O_RDWR } from "../../../../src/os/constants.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { emptyStatus, type Sys } from "../../../../src/os/sys.ts";
import { kernel, lockOn } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const EXCLUSIVE = { shared: false, autocreate: false, followLinks: true };

/** Lock files with their guard and ledger. Each method answers at once. */
class Files {
  readonly ledger: DescriptorLedger;
  readonly guard: PosixGuard;
  readonly files: LocalLockFiles;

  constructor(sys: Sys = kernel) {
    this.ledger = new DescriptorLedger(kernel);
    this.guard = new PosixGuard(this.ledger);
    this.files = new LocalLockFiles(sys, this.guard);
  }

  lock(path: string, options: { shared?: boolean; autocreate?: boolean } = {}): LockFilesOutcome {
    return answer((done) => this.files.lock({ path, ...EXCLUSIVE, ...options }, done));
  }

  granted(path: string, options = {}): Extract<LockFilesOutcome, { kind: "granted" }> {
    const outcome = this.lock(path, options);
    return outcome.kind === "granted" ? outcome : assert.fail(JSON.stringify(outcome));
  }

  unlock(path: string, { fd, identity }: ReturnType<Files["granted"]>, autocreate = false) {
    const request = { path, fd, lock: "ofd", shared: false, autocreate, force: false } as const;
    const slow = () => assert.fail("local storage is never slow");
    return answer<UnlockFailed | undefined>((done) => this.files.unlock(request, identity, slow, done));
  }
}

/** What is answered, once and at once. */
function answer<T>(ask: (done: (value: T) => void) => void): T {
  const answers: T[] = [];
  ask((value) => answers.push(value));
  assert.equal(answers.length, 1);
  return answers[0] as T;
}

function failing(name: keyof Sys, errno: number): Sys {
  return { ...kernel, [name]: () => -errno };
}

Deno.test("LocalLockFiles lock() and unlock() take and give up a lock", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const before = openDescriptors();
  const it = new Files();
  const lock = it.granted(path);
  assert.equal(lockOn(path).mode, "exclusive");
  assert.equal(it.unlock(path, lock), undefined);
  assert.equal(lockOn(path).mode, "none");
  assert.deepEqual(openedSince(before), []);
});

Deno.test("LocalLockFiles unlock() keeps the descriptor when the lock stays", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const it = new Files(failing("unlink", 30));
  const lock = it.granted(path);
  assert.deepEqual(it.unlock(path, lock, true), {
    kind: "system",
    action: `Unable to unlink resource ${path}`,
    errno: 30,
    released: false,
  });
  assert.equal(lockOn(path).mode, "exclusive");
  kernel.close(lock.fd);
});

Deno.test("LocalLockFiles unlock() does not unlink a file that has taken the name meanwhile", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const it = new Files();
  const lock = it.granted(path);
  Deno.renameSync(path, scratch.file("moved"));
  scratch.write("file", "another's");
  assert.equal(it.unlock(path, lock, true), undefined);
  assert.equal(Deno.readTextFileSync(path), "another's");
  assert.equal(lockOn(scratch.file("moved")).mode, "none");
});

Deno.test("LocalLockFiles does not open the file of a POSIX lock in vain", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const alias = scratch.file("alias");
  Deno.linkSync(path, alias);
  const it = new Files({
    ...kernel,
    open: () => assert.fail("opened"),
  });
  const status = emptyStatus();
  kernel.stat(path, status);
  const identity = identityOf(status);
  it.guard.protect(identity, true);
  assert.deepEqual(it.lock(alias), { kind: "busy", identity, pid: 0 });
  assert.deepEqual(it.lock(alias, { autocreate: true }), { kind: "busy", identity, pid: 0 });
  assert.equal(answer<FileFailure | undefined>((done) => it.files.create(alias, true, done)), undefined);
});

Deno.test("LocalLockFiles shares a POSIX lock's file without losing the lock", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const it = new Files();
  const posix = kernel.open(path, O_RDWR, 0);
  assert.equal(kernel.posixLock(posix, 0, 0, 1), 0);
  const status = emptyStatus();
  kernel.fstat(posix, status);
  it.guard.protect(identityOf(status), true);
  const lock = it.granted(path, { shared: true });
  const request = { path, fd: lock.fd, lock: "ofd", shared: true, autocreate: false, force: false } as const;
  it.files.unlock(request, lock.identity, () => {}, () => {});
  const probe = { type: 2, pid: 0 };
  kernel.ofdProbe(posix, F_WRLCK, 0, 1, probe);
  assert.deepEqual(probe, { type: 0, pid: Deno.pid });
  it.guard.unprotect(lock.identity);
  kernel.close(posix);
});

Deno.test("createFile() makes a file, leaves one that is there, and opens nothing for good", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const close = (fd: number) => kernel.close(fd);
  const path = scratch.file("new");
  assert.equal(createFile(kernel, path, true, close), undefined);
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  Deno.writeTextFileSync(path, "kept");
  assert.equal(createFile(kernel, path, true, close), undefined);
  assert.equal(Deno.readTextFileSync(path), "kept");
  Deno.symlinkSync(path, scratch.file("link"));
  assert.equal(createFile(kernel, scratch.file("link"), true, close), undefined);
  assert.deepEqual(createFile(kernel, scratch.file("link"), false, close), {
    kind: "system",
    action: `cannot create file '${scratch.file("link")}'`,
    errno: 40,
    local: true,
  });
  assert.deepEqual(createFile(failing("fstat", 5), path, true, close), {
    kind: "system",
    action: `Unable to check status of resource ${path}`,
    errno: 5,
  });
  assert.deepEqual(openedSince(before), []);
});

Deno.test("removeFile() unlinks a file; one that is not there is fine", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  assert.equal(removeFile(kernel, path), undefined);
  assert.equal(removeFile(kernel, path), undefined);
  assert.deepEqual(removeFile(kernel, scratch.path), {
    kind: "system",
    action: `Unable to delete lockspace resource ${scratch.path}`,
    errno: 21,
  });
});

Deno.test("makeDirectory() makes parents with mode 0700 and keeps what is there", () => {
  using scratch = new Scratch();
  const path = scratch.file("a/b/c");
  assert.equal(makeDirectory(kernel, path), undefined);
  for (const name of ["a", "a/b", "a/b/c"]) {
    assert.equal((Deno.statSync(scratch.file(name)).mode ?? 0) & 0o7777, 0o700);
  }
  Deno.chmodSync(path, 0o755);
  assert.equal(makeDirectory(kernel, path), undefined);
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o7777, 0o755);
  assert.equal(makeDirectory(kernel, `${path}/`), undefined);
  Deno.symlinkSync(path, scratch.file("link"));
  assert.equal(makeDirectory(kernel, scratch.file("link")), undefined);
});

Deno.test("makeDirectory() refuses what is no directory or cannot be made", () => {
  using scratch = new Scratch();
  const file = scratch.write("file");
  assert.deepEqual(makeDirectory(kernel, file), { kind: "not-a-directory", path: file });
  const cases: [Sys, string, number][] = [
    [kernel, `${file}/x`, 20],
    [kernel, "/proc/nowhere/x", 2],
    [kernel, scratch.file("x".repeat(256)), 36],
    [failing("mkdir", 28), scratch.file("x/y"), 28],
    [failing("stat", 5), scratch.file("x"), 5],
    [kernel, "", 2],
  ];
  for (const [sys, path, errno] of cases) {
    const action = `Unable to create lockspace ${path}`;
    assert.deepEqual(makeDirectory(sys, path), { kind: "system", action, errno });
  }
  Deno.symlinkSync(scratch.file("absent"), scratch.file("dangling"));
  assert.equal(makeDirectory(kernel, scratch.file("dangling"))?.kind, "system");
});
