import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import assert from "node:assert/strict";
import { PidFile } from "../../../../src/chassis/start/pid_file.ts";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import { F_WRLCK, O_RDWR } from "../../../../src/os/constants.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { FileSys } from "../../../../src/os/sys.ts";
import { kernel, lockOn } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

function acquire(path: string, sys: FileSys = kernel): PidFile {
  return PidFile.acquire(sys, new DescriptorLedger(kernel), path, 4711, VIRTLOCKD);
}

/** That it is refused with code 1 and this message, and that nothing is left open. */
function assertRefused(path: string, message: string, sys?: FileSys): void {
  const before = openDescriptors();
  assert.throws(() => acquire(path, sys), (error) => {
    assert.ok(error instanceof StartError);
    assert.equal(error.message, message);
    assert.equal(error.code, 1);
    return true;
  });
  assert.deepEqual(openedSince(before), []);
}

Deno.test("PidFile acquire() makes the file, locks it and writes the pid without a newline", () => {
  using scratch = new Scratch();
  const path = scratch.file("pid");
  const file = acquire(path);
  assert.equal(Deno.readTextFileSync(path), "4711");
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o7777, 0o644);
  assert.deepEqual(lockOn(path), { mode: "exclusive", pid: -1 });
  file.remove();
  assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
});

Deno.test("PidFile remove() leaves a file that is another daemon's", () => {
  using scratch = new Scratch();
  const path = scratch.file("pid");
  const file = acquire(path);
  Deno.removeSync(path);
  const other = acquire(path);
  file.remove();
  assert.deepEqual(lockOn(path), { mode: "exclusive", pid: -1 });
  other.remove();
  assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
});

Deno.test("PidFile acquire() rewrites what a dead daemon has left", () => {
  using scratch = new Scratch();
  const path = scratch.write("pid", "123456789");
  Deno.chmodSync(path, 0o600);
  const file = acquire(path);
  assert.equal(Deno.readTextFileSync(path), "4711");
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o7777, 0o644);
  file.remove();
});

Deno.test("PidFile acquire() refuses a file that another daemon has locked, libvirt's too", () => {
  using scratch = new Scratch();
  const path = scratch.file("pid");
  const first = acquire(path);
  assertRefused(path, `Lock PID file ${path}: another virtlockd (pid 4711) has it`);
  assert.equal(Deno.readTextFileSync(path), "4711");
  first.remove();
  const posix = scratch.write("posix", "");
  const fd = kernel.open(posix, O_RDWR, 0);
  assert.equal(kernel.posixLock(fd, F_WRLCK, 0, 1), 0);
  assertRefused(posix, `Lock PID file ${posix}: another virtlockd has it`);
  kernel.close(fd);
});

Deno.test("PidFile acquire() does not follow a symbolic link", () => {
  using scratch = new Scratch();
  const victim = scratch.write("victim", "precious");
  const path = scratch.file("pid");
  Deno.symlinkSync(victim, path);
  assertRefused(path, `Open PID file ${path}: it is a symbolic link`);
  assert.equal(Deno.readTextFileSync(victim), "precious");
});

Deno.test("PidFile acquire() tells what failed and leaves nothing open", () => {
  using scratch = new Scratch();
  const path = scratch.file("pid");
  const failing = (name: keyof FileSys, errno: number): FileSys => ({ ...kernel, [name]: () => -errno });
  assertRefused("/nowhere/pid", "Open PID file /nowhere/pid: No such file or directory (ENOENT)");
  assertRefused(path, `Lock PID file ${path}: No locks available (ENOLCK)`, failing("ofdLock", 37));
});

Deno.test("PidFile acquire() takes the new file when a daemon that was ending unlinked the one that was opened", () => {
  using scratch = new Scratch();
  const path = scratch.write("pid", "1");
  let locks = 0;
  const sys: FileSys = {
    ...kernel,
    ofdLock(fd, type, start, length) {
      if (locks++ === 0) Deno.removeSync(path);
      return kernel.ofdLock(fd, type, start, length);
    },
  };
  const file = acquire(path, sys);
  assert.equal(locks, 2);
  assert.equal(Deno.readTextFileSync(path), "4711");
  assert.deepEqual(lockOn(path), { mode: "exclusive", pid: -1 });
  file.remove();
});

Deno.test("PidFile acquire() gives up on a file that keeps being replaced", () => {
  using scratch = new Scratch();
  const path = scratch.file("pid");
  const sys: FileSys = { ...kernel, lstat: () => -2 };
  assertRefused(path, `Open PID file ${path}: it keeps being replaced`, sys);
});

Deno.test("PidFile write() tells of a disk that is full", () => {
  using scratch = new Scratch();
  const path = scratch.file("pid");
  for (const name of ["pwrite", "ftruncate"] as const) {
    const sys: FileSys = { ...kernel, [name]: () => -28 };
    assert.throws(() => acquire(path, sys), /^StartError: Write PID file .*: No space left on device/);
  }
  assert.throws(
    () => acquire(path, { ...kernel, pwrite: () => 2 }),
    /^StartError: Write PID file .*: it took 2 bytes$/,
  );
});

Deno.test("PidFile acquire() needs no more room than the PID file of a dead daemon has", () => {
  using scratch = new Scratch();
  const path = scratch.write("pid", "1234567");
  // A file system in which each byte that is given up is somebody else's at once.
  const sys: FileSys = {
    ...kernel,
    pwrite: (fd, bytes, at) =>
      at + bytes.length > Deno.statSync(path).size ? -28 : kernel.pwrite(fd, bytes, at),
  };
  const file = acquire(path, sys);
  assert.equal(Deno.readTextFileSync(path), "4711");
  file.remove();
});
