import assert from "node:assert/strict";
import { slowStorage } from "../../../../../src/lockd/cli/checks/slow_storage.ts";
import { answering, found } from "./check_fixture.ts";

Deno.test("slowStorage finds mounts that do not answer", async () => {
  const storage = { "/mnt/a": "hung", "/mnt/b": "working" };
  assert.deepEqual(await found(slowStorage, {}, answering([], { sections: { storage } })), [
    "problem: The storage at /mnt/a does not answer: guests with disks on it cannot start or stop",
  ]);
  assert.deepEqual(await found(slowStorage, {}, answering()), []);
  assert.deepEqual(await found(slowStorage, {}), []);
  const silent = ["/mnt/a", "/mnt/c"];
  assert.deepEqual(await found(slowStorage, {}, answering([], { sections: { storage } }), { silent }), [
    "problem: The storage at /mnt/a does not answer: guests with disks on it cannot start or stop",
    "problem: The storage at /mnt/c does not answer: guests with disks on it cannot start or stop",
  ]);
});
