import assert from "node:assert/strict";
import {
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  SOCK_STREAM,
} from "../../../src/os/constants.ts";
import { DirectoryEntries } from "../../../src/os/directory_entries.ts";
import { EBADF, EEXIST, ENODATA, ENOENT, ENOTDIR, ENOTEMPTY, ENXIO } from "../../../src/os/errno.ts";
import { type StorageSys, storageSys } from "../../../src/os/storage_sys.ts";
import { decodeText } from "../../../src/os/text.ts";
import { kernel } from "../../support/kernel.ts";
import { Scratch } from "../../support/scratch.ts";

const storage: StorageSys = storageSys();
const NOBODY = 1 << 20;
const [SEEK_SET, SEEK_END, SEEK_DATA, SEEK_HOLE] = [0, 2, 3, 4];
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;

/** A file of a scratch directory, open until it is disposed of. */
class Open implements Disposable {
  readonly fd: number;

  constructor(path: string, flags = O_RDWR | O_CREAT) {
    this.fd = kernel.open(path, flags, 0o600);
    assert.ok(this.fd >= 0, path);
  }

  [Symbol.dispose](): void {
    kernel.close(this.fd);
  }
}

/** What is known of a file. */
function factsOf(facts: ReturnType<StorageSys["facts"]>) {
  assert.ok(typeof facts !== "number");
  return facts;
}

Deno.test("StorageSys gives -errno for what fails", () => {
  using scratch = new Scratch();
  const file = scratch.write("file");
  const absent = scratch.file("absent");
  assert.equal(storage.facts(absent), -ENOENT);
  assert.equal(storage.linkFacts(`${file}/x`), -ENOTDIR);
  assert.equal(storage.descriptorFacts(NOBODY), -EBADF);
  assert.equal(storage.openIn(NOBODY, new TextEncoder().encode("x\0"), O_RDONLY), -EBADF);
  assert.equal(storage.directoryEntries(NOBODY, new Uint8Array(64)), -EBADF);
  assert.equal(storage.readAt(NOBODY, new Uint8Array(1), 0), -EBADF);
  assert.equal(storage.space(absent), -ENOENT);
  assert.equal(storage.fileSystem(NOBODY), -EBADF);
  assert.equal(storage.allocate(NOBODY, 0, 0, 1), -EBADF);
  assert.equal(storage.changeOwner(NOBODY, -1, -1), -EBADF);
  assert.equal(storage.makeLink("anywhere", file), -EEXIST);
  assert.equal(storage.removeDirectory(absent), -ENOENT);
  assert.equal(storage.seek(NOBODY, 0, SEEK_SET), -EBADF);
  assert.equal(storage.copyRange(NOBODY, NOBODY, 1), -EBADF);
  assert.equal(storage.cloneFile(NOBODY, NOBODY), -EBADF);
  assert.equal(storage.attributes(NOBODY), -EBADF);
  assert.equal(storage.setAttributes(NOBODY, 0), -EBADF);
  assert.equal(storage.syncData(NOBODY), -EBADF);
  assert.equal(storage.syncRange(NOBODY, 0, 1), -EBADF);
  assert.equal(storage.extendedAttribute(NOBODY, "user.x"), -EBADF);
  assert.equal(storage.extendedAttributeSize(NOBODY, "user.x"), -EBADF);
  assert.equal(storage.setExtendedAttribute(NOBODY, "user.x"), -EBADF);
  assert.equal(storage.removeExtendedAttribute(NOBODY, "user.x"), -EBADF);
  assert.equal(storage.sendFile(NOBODY, NOBODY, 1), -EBADF);
});

Deno.test("StorageSys tells of a file by its path, its link and its descriptor", () => {
  using scratch = new Scratch();
  const path = scratch.write("file", "0123456789");
  const link = scratch.file("link");
  assert.equal(storage.makeLink("file", link), 0);
  const direct = factsOf(storage.facts(path));
  assert.deepEqual([direct.size, direct.mode & S_IFMT], [10, S_IFREG]);
  assert.equal(factsOf(storage.facts(link)).inode, direct.inode);
  assert.equal(factsOf(storage.linkFacts(link)).mode & S_IFMT, S_IFLNK);
  using open = new Open(path);
  const facts = factsOf(storage.descriptorFacts(open.fd));
  assert.deepEqual([facts.inode, facts.device, facts.mount], [direct.inode, direct.device, direct.mount]);
  assert.equal(direct.inode, String(Deno.statSync(path).ino));
});

Deno.test("StorageSys renames and links only where nothing is", () => {
  using scratch = new Scratch();
  const [one, two] = [scratch.write("one", "1"), scratch.write("two", "2")];
  assert.equal(storage.renameNew(one, two), -EEXIST);
  assert.equal(storage.hardLink(one, two), -EEXIST);
  assert.equal(Deno.readTextFileSync(two), "2");
  assert.equal(storage.hardLink(one, scratch.file("again")), 0);
  assert.equal(storage.renameNew(one, scratch.file("three")), 0);
  assert.equal(Deno.readTextFileSync(scratch.file("three")), "1");
  assert.equal(Deno.readTextFileSync(scratch.file("again")), "1");
  assert.equal(storage.removeDirectory(scratch.path), -ENOTEMPTY);
});

Deno.test("StorageSys finds the data and the holes of a file, allocates, punches and copies", () => {
  using scratch = new Scratch();
  using file = new Open(scratch.file("sparse"));
  assert.equal(kernel.ftruncate(file.fd, 1 << 20), 0);
  assert.equal(kernel.pwrite(file.fd, new Uint8Array(4096).fill(7), 1 << 16), 4096);
  assert.equal(storage.seek(file.fd, 0, SEEK_DATA), 1 << 16);
  assert.equal(storage.seek(file.fd, 1 << 16, SEEK_HOLE), (1 << 16) + 4096);
  assert.equal(storage.seek(file.fd, (1 << 16) + 4096, SEEK_DATA), -ENXIO);
  assert.equal(storage.seek(file.fd, 0, SEEK_END), 1 << 20);
  assert.equal(storage.allocate(file.fd, PUNCH_HOLE | KEEP_SIZE, 1 << 16, 4096), 0);
  assert.equal(storage.seek(file.fd, 0, SEEK_DATA), -ENXIO);
  assert.equal(storage.allocate(file.fd, 0, 0, 2 << 20), 0);
  assert.equal(factsOf(storage.descriptorFacts(file.fd)).size, 2 << 20);
  assert.equal(storage.syncData(file.fd), 0);
  using from = new Open(scratch.write("from", "0123456789"));
  using to = new Open(scratch.file("to"));
  assert.equal(storage.seek(from.fd, 2, SEEK_SET), 2);
  assert.equal(storage.copyRange(from.fd, to.fd, 5), 5);
  assert.equal(Deno.readTextFileSync(scratch.file("to")), "23456");
  const into = new Uint8Array(4);
  assert.equal(storage.readAt(from.fd, into, 3), 4);
  assert.equal(new TextDecoder().decode(into), "3456");
});

Deno.test("StorageSys sends a file from where its offset is", () => {
  using scratch = new Scratch();
  using from = new Open(scratch.write("from", "0123456789"), O_RDONLY);
  const pair = kernel.socketPair(SOCK_STREAM);
  assert.ok(typeof pair !== "number");
  const [near, far] = pair;
  assert.equal(storage.seek(from.fd, 4, SEEK_SET), 4);
  assert.equal(storage.sendFile(near, from.fd, 100), 6);
  assert.equal(storage.sendFile(near, from.fd, 100), 0);
  const into = new Uint8Array(16);
  assert.equal(kernel.read(far, into), 6);
  assert.equal(new TextDecoder().decode(into.subarray(0, 6)), "456789");
  for (const fd of pair) kernel.close(fd);
});

Deno.test("StorageSys gives a file an attribute, tells of it and takes it away", () => {
  using scratch = new Scratch();
  using file = new Open(scratch.file("file"));
  const name = "user.virtstoraged-unit-test";
  assert.equal(storage.extendedAttribute(file.fd, name), -ENODATA);
  assert.equal(storage.extendedAttributeSize(file.fd, name), -ENODATA);
  assert.equal(storage.setExtendedAttribute(file.fd, name), 0);
  assert.equal(storage.extendedAttributeSize(file.fd, name), 0);
  assert.equal(storage.extendedAttribute(file.fd, name), "");
  assert.equal(storage.removeExtendedAttribute(file.fd, name), 0);
  assert.equal(storage.removeExtendedAttribute(file.fd, name), -ENODATA);
});

Deno.test("StorageSys reads a directory by its descriptor, and opens what is in it beside that", () => {
  using scratch = new Scratch();
  scratch.write("one", "1");
  scratch.write("two");
  using directory = new Open(scratch.path, O_RDONLY | O_DIRECTORY);
  const entries = new DirectoryEntries(storage, directory.fd);
  const names: string[] = [];
  for (let name = entries.next(); name !== undefined; name = entries.next()) {
    assert.ok(typeof name !== "number");
    names.push(decodeText(name, 0, name.length - 1));
  }
  assert.deepEqual(names.sort(), ["one", "two"]);
  const fd = storage.openIn(directory.fd, new TextEncoder().encode("one\0"), O_RDONLY);
  assert.equal(factsOf(storage.descriptorFacts(fd)).size, 1);
  kernel.close(fd);
  assert.equal(storage.openIn(directory.fd, new TextEncoder().encode("three\0"), O_RDONLY), -ENOENT);
});

Deno.test("StorageSys tells how large a file system is", () => {
  using scratch = new Scratch();
  const space = storage.space(scratch.path);
  assert.ok(typeof space !== "number");
  assert.ok(space.capacity > 0n && space.free >= 0n && space.free <= space.capacity);
});

Deno.test("StorageSys writes a piece of a file, and knows the type of its file system", () => {
  using scratch = new Scratch();
  using file = new Open(scratch.write("file", "0123456789"));
  assert.equal(storage.syncRange(file.fd, 0, 4), 0);
  // Behind the end there is nothing to write.
  assert.equal(storage.syncRange(file.fd, 4096, 1 << 30), 0);
  using proc = new Open("/proc/self/status", O_RDONLY);
  const PROC = 0x9fa0;
  assert.equal(storage.fileSystem(proc.fd), PROC);
});
