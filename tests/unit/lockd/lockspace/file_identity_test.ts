import assert from "node:assert/strict";
import {
  identityOf,
  inodeText,
  procLockText,
  sameFile,
} from "../../../../src/lockd/lockspace/file_identity.ts";
import { emptyStatus } from "../../../../src/os/sys.ts";

const FILE = { devMajor: 8, devMinor: 17, inodeLow: 0xfffffffe, inodeHigh: 1 };

Deno.test("identityOf() takes device and inode out of a status", () => {
  assert.deepEqual(identityOf({ ...emptyStatus(), ...FILE, size: 5, mode: 0o100600 }), FILE);
});

Deno.test("sameFile() compares device and the whole inode number", () => {
  assert.ok(sameFile(FILE, { ...FILE }));
  for (const field of ["devMajor", "devMinor", "inodeLow", "inodeHigh"] as const) {
    assert.ok(!sameFile(FILE, { ...FILE, [field]: 3 }), field);
  }
});

Deno.test("inodeText() and procLockText() print as /proc does", () => {
  assert.equal(inodeText(FILE), "8589934590");
  assert.equal(procLockText(FILE), "08:11:8589934590");
  assert.equal(procLockText({ devMajor: 259, devMinor: 0, inodeLow: 7, inodeHigh: 0 }), "103:00:7");
});
