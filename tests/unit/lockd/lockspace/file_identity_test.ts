import assert from "node:assert/strict";
import {
  type FileIdentity,
  identityOf,
  inodeText,
  mayName,
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

Deno.test("mayName() says no only of a path that is gone or another file's", () => {
  const identity = { devMajor: 8, devMinor: 1, inodeLow: 7, inodeHigh: 0 };
  const asked = (result: number, inodeLow: number, of: FileIdentity | undefined = identity) =>
    mayName(
      {
        stat: (_path, status) => {
          Object.assign(status, { ...identity, inodeLow });
          return result;
        },
      },
      "/leases/a",
      of,
    );
  assert.equal(asked(0, 7), true);
  assert.equal(asked(0, 8), false);
  assert.equal(asked(-2, 0), false);
  // Where it cannot be told, the file is taken for the lock's.
  assert.equal(asked(-5, 0), true);
  assert.equal(mayName({ stat: () => 0 }, "/leases/a", undefined), true);
});
