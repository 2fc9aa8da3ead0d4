import assert from "node:assert/strict";
import { shownLocks } from "../../../../src/lockd/lockspace/shown_lock.ts";
import { F_RDLCK, F_WRLCK, O_CREAT, O_RDWR } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";

Deno.test("shownLocks() tells kind and mode of what a descriptor holds, and nothing of others", () => {
  const path = Deno.makeTempFileSync();
  const [first, second] = [kernel.open(path, O_RDWR | O_CREAT, 0), kernel.open(path, O_RDWR, 0)];
  try {
    assert.deepEqual(shownLocks(kernel, first), []);
    kernel.ofdLock(first, F_RDLCK, 0, 1);
    assert.deepEqual(shownLocks(kernel, first), [{ kind: "ofd", shared: true }]);
    kernel.ofdLock(first, F_WRLCK, 0, 1);
    assert.deepEqual(shownLocks(kernel, first), [{ kind: "ofd", shared: false }]);
    assert.deepEqual(shownLocks(kernel, second), []);
  } finally {
    kernel.close(first);
    kernel.close(second);
    Deno.removeSync(path);
  }
  assert.deepEqual(shownLocks(kernel, 999_999), []);
});
