import assert from "node:assert/strict";
import { EACCES, ENOENT } from "../../../../src/os/errno.ts";
import { findOwner } from "../../../../src/lockd/storage/file_owner.ts";

/** A kernel that knows the owners of these paths, and says this errno of all others. */
function sys(owners: Readonly<Record<string, number>>, errno: number) {
  return {
    stat(path: string, into: { uid: number; gid: number }): number {
      const uid = owners[path];
      if (uid === undefined) return -errno;
      into.uid = uid;
      into.gid = uid + 1;
      return 0;
    },
  };
}

Deno.test("findOwner() tells whose a file is that may be seen", () => {
  assert.deepEqual(findOwner(sys({ "/mnt/a/x": 7, "/mnt/a": 8 }, EACCES), "/mnt/a/x"), {
    uid: 7,
    gid: 8,
    path: "/mnt/a/x",
  });
});

Deno.test("findOwner() tells whose the directory is behind which nothing can be seen", () => {
  assert.deepEqual(findOwner(sys({ "/mnt": 0, "/mnt/a": 8 }, EACCES), "/mnt/a/b/x"), {
    uid: 8,
    gid: 9,
    path: "/mnt/a",
  });
});

Deno.test("findOwner() knows nobody where there is no file, nor where nothing at all can be seen", () => {
  assert.equal(findOwner(sys({ "/mnt": 0 }, ENOENT), "/mnt/x"), undefined);
  assert.equal(findOwner(sys({}, EACCES), "/mnt/a/x"), undefined);
});
