import assert from "node:assert/strict";
import {
  F_GETFD,
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  FD_CLOEXEC,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_RDWR,
} from "../../../src/os/constants.ts";
import { emptyStatus } from "../../../src/os/sys.ts";
import { kernel } from "../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../support/open_descriptors.ts";
import { Scratch } from "../../support/scratch.ts";

Deno.test("FileSys gives -errno for what fails", () => {
  using scratch = new Scratch();
  const file = scratch.write("file");
  const status = emptyStatus();
  assert.equal(kernel.open(scratch.file("absent"), O_RDWR, 0), -2);
  assert.equal(kernel.open(file, O_RDWR | O_CREAT | O_EXCL, 0o600), -17);
  assert.equal(kernel.stat(`${file}/x`, status), -20);
  assert.equal(kernel.unlink(scratch.path), -21);
  assert.equal(kernel.mkdir(file, 0o700), -17);
  assert.equal(kernel.rename(scratch.file("absent"), file), -2);
  assert.equal(kernel.readlink(file), -22);
  assert.equal(kernel.listDirectory(file), -20);
  assert.equal(kernel.access(scratch.file("absent"), 0), -2);
  assert.equal(kernel.close(1 << 20), -9);
  assert.equal(kernel.read(1 << 20, new Uint8Array(1)), -9);
  assert.equal(kernel.fstat(1 << 20, status), -9);
});

Deno.test("FileSys lchown() changes a link and not what it leads to, and tells what is not there", () => {
  using scratch = new Scratch();
  const { uid = -1, gid = -1 } = Deno.lstatSync(scratch.path);
  const link = scratch.file("link");
  Deno.symlinkSync("/nowhere", link);
  assert.equal(kernel.lchown(link, -1, gid ?? -1), 0);
  assert.deepEqual([Deno.lstatSync(link).uid, Deno.lstatSync(link).gid], [uid, gid]);
  assert.equal(kernel.lchown(scratch.file("absent"), -1, -1), -2);
});

Deno.test("FileSys refuses a path that the kernel would not take", () => {
  const status = emptyStatus();
  for (const path of ["x".repeat(4096), "x".repeat(100_000), "ü".repeat(2048)]) {
    assert.equal(kernel.open(path, O_RDWR, 0), -36);
    assert.equal(kernel.stat(path, status), -36);
    assert.equal(kernel.lstat(path, status), -36);
    assert.equal(kernel.unlink(path), -36);
    assert.equal(kernel.rename("/x", path), -36);
    assert.equal(kernel.rename(path, "/x"), -36);
  }
  assert.equal(kernel.open("x".repeat(4095), O_RDWR, 0), -36);
});

Deno.test("FileSys takes names that are not UTF-8", () => {
  using scratch = new Scratch();
  const name = "a\udcffb";
  const fd = kernel.open(scratch.file(name), O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  assert.ok(fd >= 0);
  assert.equal(kernel.fcntl(fd, F_GETFD, 0), FD_CLOEXEC);
  kernel.close(fd);
  assert.deepEqual(kernel.listDirectory(scratch.path), [name]);
  assert.equal(kernel.unlink(scratch.file(name)), 0);
});

Deno.test("FileSys stat() tells type, mode, size and identity", () => {
  using scratch = new Scratch();
  const path = scratch.write("file", "12345");
  Deno.chmodSync(path, 0o640);
  Deno.symlinkSync(path, scratch.file("link"));
  const [status, through, link, open] = [emptyStatus(), emptyStatus(), emptyStatus(), emptyStatus()];
  assert.equal(kernel.stat(path, status), 0);
  assert.equal(kernel.stat(scratch.file("link"), through), 0);
  assert.equal(kernel.lstat(scratch.file("link"), link), 0);
  const fd = kernel.open(path, O_RDWR, 0);
  assert.equal(kernel.fstat(fd, open), 0);
  kernel.close(fd);
  const info = Deno.statSync(path);
  assert.deepEqual([status.mode, status.size, status.links], [0o100640, 5, 1]);
  assert.equal(status.inodeLow + status.inodeHigh * 2 ** 32, info.ino);
  assert.deepEqual([through, open], [status, status]);
  assert.equal(link.mode & 0o170000, 0o120000);
});

Deno.test("FileSys reads, writes, truncates and lists", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const path = scratch.file("file");
  const fd = kernel.open(path, O_RDWR | O_CREAT, 0o600);
  assert.equal(kernel.write(fd, new TextEncoder().encode("hello world")), 11);
  assert.equal(kernel.pwrite(fd, new TextEncoder().encode("HELLO"), 0), 5);
  const bytes = new Uint8Array(100);
  assert.equal(kernel.pread(fd, bytes, 6), 5);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 5)), "world");
  assert.equal(kernel.ftruncate(fd, 5), 0);
  assert.equal(kernel.fsync(fd), 0);
  assert.equal(kernel.fchmod(fd, 0o644), 0);
  kernel.close(fd);
  assert.equal(Deno.readTextFileSync(path), "HELLO");
  for (let index = 0; index < 500; index++) scratch.write(`entry-${index}`);
  const names = kernel.listDirectory(scratch.path);
  assert.ok(typeof names !== "number");
  assert.equal(names.length, 501);
  assert.ok(names.includes("entry-499") && !names.includes("."));
  Deno.symlinkSync("target", scratch.file("link"));
  assert.equal(kernel.readlink(scratch.file("link")), "target");
  assert.deepEqual(openedSince(before), []);
});

Deno.test("FileSys ofdLock() conflicts between two opens, and ofdProbe() sees it", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const [one, two] = [kernel.open(path, O_RDWR, 0), kernel.open(path, O_RDWR, 0)];
  assert.equal(kernel.ofdLock(one, F_WRLCK, 0, 1), 0);
  assert.equal(kernel.ofdLock(two, F_RDLCK, 0, 1), -11);
  const found = { type: F_UNLCK, pid: 0 };
  assert.equal(kernel.ofdProbe(two, F_RDLCK, 0, 1, found), 0);
  assert.deepEqual(found, { type: F_WRLCK, pid: -1 });
  // Other bytes are free, also those behind 4 GiB.
  assert.equal(kernel.ofdLock(two, F_WRLCK, 2 ** 33, 1), 0);
  assert.equal(kernel.ofdLock(one, F_WRLCK, 2 ** 33 + 1, 1), 0);
  assert.equal(kernel.ofdLock(one, F_UNLCK, 0, 1), 0);
  assert.equal(kernel.ofdProbe(two, F_WRLCK, 0, 1, found), 0);
  assert.equal(found.type, F_UNLCK);
  kernel.close(one);
  kernel.close(two);
});
