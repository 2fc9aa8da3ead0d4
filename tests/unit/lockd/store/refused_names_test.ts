import assert from "node:assert/strict";
import { RefusedNames } from "../../../../src/lockd/store/refused_names.ts";
import { KeptLog } from "../journal/kept_log.ts";

const TEXT = "is not kept by the service manager";

Deno.test("RefusedNames.refuse() is loud for the first one, and again when all were stored in between", () => {
  const log = new KeptLog();
  const refused = new RefusedNames(log);
  refused.refuse("lock-1", "it is full", false);
  refused.refuse("lock-2", "it is full", false);
  assert.deepEqual([...refused], ["lock-1", "lock-2"]);
  refused.delete("lock-1");
  refused.delete("lock-2");
  assert.equal(refused.size, 0);
  refused.refuse("lock-2", "it is full", false);
  assert.deepEqual(log.lines, [
    `error: A lock or connection ${TEXT} (lock-1), a crash would lose it: it is full`,
    `info: A lock or connection ${TEXT} (lock-2), a crash would lose it: it is full`,
    `error: A lock or connection ${TEXT} (lock-2), a crash would lose it: it is full`,
  ]);
});

Deno.test("RefusedNames is not loud where it was said that nothing is kept", () => {
  const log = new KeptLog();
  const refused = new RefusedNames(log);
  refused.refuse("lock-1", "systemd does not take it", true);
  assert.deepEqual(log.lines.map((line) => line.split(":")[0]), ["info"]);
  refused.add(["lock-2", "lock-1"]);
  assert.deepEqual([[...refused], log.lines.length], [["lock-1", "lock-2"], 1]);
  refused.clear();
  assert.equal(refused.size, 0);
});
