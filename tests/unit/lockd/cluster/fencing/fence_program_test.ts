import assert from "node:assert/strict";
import { wrongWithProgram } from "../../../../../src/lockd/cluster/fencing/fence_program.ts";
import { S_IFDIR, S_IFLNK, S_IFREG } from "../../../../../src/os/constants.ts";
import { ENOENT } from "../../../../../src/os/errno.ts";
import type { FileStatus } from "../../../../../src/os/sys.ts";

/** Judges `/etc/fence` on a played file system. */
function wrong(program: Partial<Pick<FileStatus, "mode" | "uid">> | undefined, directory = 0o755, uid = 0) {
  const lstat = (path: string, into: FileStatus) => {
    if (path !== "/etc/fence") {
      Object.assign(into, { mode: S_IFDIR | (path === "/etc" ? directory : 0o755), uid: 0 });
    } else if (program === undefined) return -ENOENT;
    else Object.assign(into, { mode: S_IFREG | 0o755, uid: 0, ...program });
    return 0;
  };
  return wrongWithProgram({ lstat, readlink: () => assert.fail(), uid: () => uid }, "/etc/fence");
}

Deno.test("a program that is root's, executable and nobody else's to write can be relied upon", () => {
  assert.equal(wrong({}), undefined);
  assert.equal(wrong({ mode: S_IFREG | 0o700 }), undefined);
});

Deno.test("every other one is named with what to do", () => {
  assert.match(wrong(undefined) ?? "", /^l?stat \/etc\/fence: No such file or directory/);
  assert.match(wrong({ mode: S_IFDIR | 0o755 }) ?? "", /no regular file/);
  assert.match(
    wrong({ mode: S_IFLNK | 0o777 }) ?? "",
    /no regular file: name the program itself, and no link/,
  );
  assert.match(wrong({ mode: S_IFREG | 0o644 }) ?? "", /not executable: chmod 0755 \/etc\/fence/);
  assert.match(
    wrong({ mode: S_IFREG | 0o775 }) ?? "",
    /others than its owner may write \/etc\/fence: chmod go-w/,
  );
  assert.match(wrong({ mode: S_IFREG | 0o757 }) ?? "", /others than its owner may write/);
  assert.match(wrong({ uid: 1000 }) ?? "", /belongs to uid 1000: chown root/);
  assert.match(wrong({}, 0o777) ?? "", /others than its owner may write \/etc \(mode 0777\)/);
});
