import assert from "node:assert/strict";
import { identityOf } from "../../../../src/lockd/lockspace/file_identity.ts";
import { identityOfOpen } from "../../../../src/lockd/storage/open_identity.ts";
import { EACCES } from "../../../../src/os/errno.ts";
import { emptyStatus } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";
import { sysWith } from "../../../support/storage_fixture.ts";

const CLOSED = { fstat: () => -EACCES };

Deno.test("identityOfOpen() is what the status says, and what /proc says where there is no status", () => {
  using scratch = new Scratch();
  const fd = kernel.open(scratch.write("file"), 0, 0);
  const status = emptyStatus();
  kernel.fstat(fd, status);
  const before = openDescriptors();
  assert.deepEqual(identityOfOpen(kernel, fd), identityOf(status));
  assert.deepEqual(identityOfOpen(sysWith(CLOSED), fd), identityOf(status));
  assert.deepEqual(openedSince(before), []);
  kernel.close(fd);
});

Deno.test("identityOfOpen() is why there is no status where /proc does not tell either", () => {
  const info = (text: string) => ({
    ...CLOSED,
    open: () => 9,
    close: () => 0,
    read: (_fd: number, into: Uint8Array) => new TextEncoder().encodeInto(text, into).written,
    pread: () => 0,
  });
  for (const text of ["", "mnt_id:\t40\n", "ino:\t7\n", "mnt_id:\t40\nino:\t7\n"]) {
    assert.equal(identityOfOpen(info(text), 3), -EACCES);
  }
});
