import assert from "node:assert/strict";
import { O_NOFOLLOW, O_RDONLY } from "../../../src/os/constants.ts";
import { EBADF, EFBIG, ELOOP, ENOENT } from "../../../src/os/errno.ts";
import { readFileText, readList, readSmallFile, readText, readWhole } from "../../../src/os/read_file.ts";
import { SystemError } from "../../../src/os/system_error.ts";
import { kernel } from "../../support/kernel.ts";
import { Scratch } from "../../support/scratch.ts";

/** Longer than the memory with which reading begins. */
const LONG = "0123456789abcdef".repeat(10_000);

function failsWith(errno: number) {
  return (error: unknown) => error instanceof SystemError && error.errno === errno;
}

Deno.test("readWhole() and readFileText() read a file to its end, however long it is", () => {
  using scratch = new Scratch();
  const path = scratch.file("long");
  Deno.writeTextFileSync(path, LONG);
  assert.equal(new TextDecoder().decode(readWhole(kernel, path)), LONG);
  assert.equal(readFileText(kernel, path), LONG);
});

Deno.test("readWhole() throws when there is no file, and when it is a link that must not be followed", () => {
  using scratch = new Scratch();
  Deno.symlinkSync("/dev/null", scratch.file("link"));
  assert.throws(() => readWhole(kernel, scratch.file("none")), failsWith(ENOENT));
  assert.throws(() => readWhole(kernel, scratch.file("link"), O_NOFOLLOW), failsWith(ELOOP));
  assert.equal(readWhole(kernel, scratch.file("link")).length, 0);
});

Deno.test("readWhole() does not go on for ever, and takes a file of just so many bytes", () => {
  using scratch = new Scratch();
  Deno.writeTextFileSync(scratch.file("ten"), "0123456789");
  assert.throws(() => readWhole(kernel, "/dev/zero", 0, 1 << 20), failsWith(EFBIG));
  assert.throws(() => readWhole(kernel, scratch.file("ten"), 0, 9), failsWith(EFBIG));
  assert.equal(readWhole(kernel, scratch.file("ten"), 0, 10).length, 10);
});

Deno.test("readText() reads an open file from its beginning each time, and gives the errno", () => {
  using scratch = new Scratch();
  const path = scratch.file("text");
  Deno.writeTextFileSync(path, "one");
  const fd = kernel.open(path, O_RDONLY, 0);
  assert.equal(readText(kernel, fd), "one");
  Deno.writeTextFileSync(path, "another");
  assert.equal(readText(kernel, fd), "another");
  kernel.close(fd);
  assert.equal(readText(kernel, -1), -EBADF);
});

Deno.test("readSmallFile() and readFileText() give undefined for what cannot be read", () => {
  using scratch = new Scratch();
  assert.equal(readSmallFile(kernel, scratch.file("none")), undefined);
  assert.equal(readSmallFile(kernel, scratch.path), undefined);
  assert.equal(readFileText(kernel, scratch.file("none")), undefined);
  assert.equal(readFileText(kernel, scratch.path), undefined);
});

Deno.test("readSmallFile() reads the first 4 KiB, each byte as a character", () => {
  using scratch = new Scratch();
  Deno.writeFileSync(scratch.file("bytes"), new Uint8Array([0x61, 0xff, 0x0a]));
  Deno.writeTextFileSync(scratch.file("long"), LONG);
  assert.equal(readSmallFile(kernel, scratch.file("bytes")), "a\xff\n");
  assert.equal(readSmallFile(kernel, scratch.file("long")), LONG.slice(0, 4096));
});

Deno.test("readList() reads entries that end with a NUL, empty ones too", () => {
  using scratch = new Scratch();
  assert.deepEqual(readList(kernel, scratch.write("some", "a\0\0b c\0")), ["a", "", "b c"]);
  assert.deepEqual(readList(kernel, scratch.write("none", "")), []);
});
