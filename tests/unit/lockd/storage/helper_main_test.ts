import assert from "node:assert/strict";
import type { ToHelper } from "../../../../src/lockd/storage/helper_protocol.ts";
import { runDeputy, runStorageHelper } from "../../../../src/lockd/storage/helper_main.ts";
import { HelperScript, lockTask, task } from "../../../support/helper_script.ts";

Deno.test("runStorageHelper() names and shields itself, says that it is ready, and ends with the stream", () => {
  const calls: unknown[] = [];
  const script = new HelperScript([], {
    setThreadName: (name) => calls.push(name),
    blockSignals: (signals) => calls.push([...signals].sort((a, b) => a - b)),
    pid: () => 77,
  });
  assert.equal(runStorageHelper(script.sys, ["5"]), 0);
  assert.deepEqual(calls, ["virtlockd-io", [1, 2, 3, 10, 13, 15, 29]]);
  assert.deepEqual(script.sent, [{ kind: "ready", pid: 77 }]);
});

Deno.test("runStorageHelper() refuses a daemon of another version", () => {
  const script = new HelperScript([lockTask(1, "/mnt/a")]);
  assert.equal(runStorageHelper(script.sys, ["0"]), 1);
  assert.deepEqual(script.sent, [{
    kind: "failed",
    reason: "The program on disk speaks version 5 of the helper protocol, this daemon 0: " +
      "restart the daemon with SIGUSR1",
  }]);
});

const BECOME: ToHelper = { kind: "become", version: "5", ids: { uid: 7, gid: 8 } };

Deno.test("runDeputy() becomes the user that it is told, before anything else, and serves then", () => {
  const calls: unknown[] = [];
  const script = new HelperScript([BECOME, task(1, { op: "find-owner", path: "/mnt/a" })], {
    becomeUser: (uid, gid) => calls.push(["become", uid, gid]) * 0,
    stat: (path, into) => {
      calls.push(["stat", path]);
      into.uid = 9;
      into.gid = 10;
      return 0;
    },
    pid: () => 77,
  });
  assert.equal(runDeputy(script.sys), 0);
  assert.deepEqual(calls, [["become", 7, 8], ["stat", "/mnt/a"]]);
  assert.deepEqual(script.sent, [
    { kind: "ready", pid: 77 },
    { kind: "result", id: 1, result: { kind: "owner", owner: { uid: 9, gid: 10, path: "/mnt/a" } } },
  ]);
});

Deno.test("runDeputy() does nothing as anybody else than it was told to be", () => {
  const lock = lockTask(1, "/mnt/a");
  const confined = new HelperScript([BECOME, lock], {
    becomeUser: () => -1,
    open: () => assert.fail("opened"),
  });
  assert.equal(runDeputy(confined.sys), 1);
  assert.deepEqual(confined.sent, [{
    kind: "failed",
    reason: "no process may become user 7 for it: Operation not permitted",
  }]);
  const older = new HelperScript([{ ...BECOME, version: "4" }, lock], {
    becomeUser: () => assert.fail("became"),
    open: () => assert.fail("opened"),
  });
  assert.equal(runDeputy(older.sys), 1);
  assert.deepEqual(older.sent, [{
    kind: "failed",
    reason: "The program on disk speaks version 5 of the helper protocol, this daemon 4: " +
      "restart the daemon with SIGUSR1",
  }]);
});
