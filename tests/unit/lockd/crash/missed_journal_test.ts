import assert from "node:assert/strict";
import { type MissedSources, missesJournal } from "../../../../src/lockd/crash/missed_journal.ts";
import { slotName } from "../../../../src/lockd/journal/descriptor_names.ts";
import { S_IFDIR, S_IFREG } from "../../../../src/os/constants.ts";
import { EACCES, EAGAIN, EEXIST, EIO, ENOENT, ENOTDIR } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";

/** Whether the journal is missed that could not be opened, by what is seen in its place. */
function missed(
  seen: number | { mode: number; size: number },
  parts: Partial<MissedSources> = {},
  errno = EACCES,
): boolean {
  const asked: string[] = [];
  const sys: MissedSources["sys"] = {
    lstat: (path, status) => {
      asked.push(path);
      if (typeof seen === "number") return seen;
      Object.assign(status, seen);
      return 0;
    },
  };
  const sources = { sys, handed: undefined, returned: [], journalDir: "/run/j", ...parts };
  const answer = missesJournal(sources, new SystemError("open", "/run/j/journal", -errno));
  assert.deepEqual(asked.filter((path) => path !== "/run/j/journal"), []);
  return answer;
}

Deno.test("missesJournal() is so where a file is that says something", () => {
  assert.equal(missed({ mode: S_IFREG | 0o600, size: 4096 }), true);
  assert.equal(missed({ mode: S_IFREG | 0o600, size: 0 }), false);
  assert.equal(missed({ mode: S_IFDIR | 0o700, size: 4096 }), false);
});

Deno.test("missesJournal() is so where it cannot be seen whether there is a file", () => {
  assert.deepEqual([EIO, EACCES, ENOENT, ENOTDIR].map((errno) => missed(-errno)), [true, true, false, false]);
});

Deno.test("missesJournal() is not so where another daemon uses it, or the store has one", () => {
  const file = { mode: S_IFREG | 0o600, size: 4096 };
  assert.deepEqual([missed(file, {}, EAGAIN), missed(file, {}, EEXIST)], [false, false]);
  assert.equal(missed(file, { returned: [{ name: "journal", fd: 5 }] }), false);
  const lock = slotName({ kind: "lock", index: 3 });
  assert.equal(missed(file, { returned: [{ name: lock, fd: 5 }] }), false);
  assert.equal(missed(file, { returned: [{ name: "virtlockd.socket", fd: 5 }] }), true);
});
