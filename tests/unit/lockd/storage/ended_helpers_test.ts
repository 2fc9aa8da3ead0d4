import assert from "node:assert/strict";
import { EIO, EMFILE } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { IDENTITY, Stage } from "./storage_client_fixture.ts";

Deno.test("StorageClient fails what a helper was doing when it ended, and starts another for the next", () => {
  using stage = new Stage();
  const first = stage.lock("/mnt/a");
  const second = stage.lock("/mnt/b");
  stage.helper.end();
  assert.deepEqual(stage.until(first), {
    kind: "storage",
    action: "Unable to acquire lock on resource /mnt/a",
    reason: "its helper process has ended",
  });
  assert.equal(stage.helpers.helpers.length, 2);
  assert.deepEqual(stage.helper.readShort(), ["lock 2"]);
  stage.helper.answer(2, { kind: "refused", outcome: { kind: "failed", action: "x", errno: EIO } });
  assert.equal(stage.until(second).kind, "failed");
  assert.deepEqual(stage.observer.lines, ["ended: storage at /mnt: its helper process has ended"]);
});

Deno.test("StorageClient passes on why a helper cannot serve", () => {
  using stage = new Stage();
  const answer = stage.lock("/mnt/a");
  stage.helper.send({
    kind: "failed",
    reason: "Start storage helper /x: No such file or directory (ENOENT)",
  });
  stage.helper.end();
  const outcome = stage.until(answer);
  assert.equal(
    outcome.kind === "storage" && outcome.reason,
    "Start storage helper /x: No such file or directory (ENOENT)",
  );
});

Deno.test("StorageClient repeats a release once when its helper ends", () => {
  using stage = new Stage();
  const fd = stage.file();
  const answer = stage.unlock("/mnt/a", fd);
  stage.helper.end();
  stage.turning.until(() => stage.helpers.helpers.length === 2 || undefined);
  assert.deepEqual(stage.helper.readShort(), ["unlock 1"]);
  stage.helper.end();
  assert.deepEqual(stage.until(answer), ["done", {
    kind: "storage",
    action: "Unable to release lock on resource /mnt/a",
    reason: "its helper process has ended",
    released: false,
  }]);
  assert.deepEqual(stage.closed, []);
  assert.equal(stage.helpers.helpers.length, 2);
  stage.turning.sys.close(fd);
});

Deno.test("StorageClient fails every ask while no helper can be started", () => {
  using stage = new Stage();
  stage.helpers.failure = new SystemError("socketpair", "storage helper", EMFILE);
  const reason = "socketpair storage helper: Too many open files (EMFILE)";
  const answer = stage.lock("/mnt/a");
  assert.deepEqual(stage.until(answer), {
    kind: "storage",
    action: "Unable to acquire lock on resource /mnt/a",
    reason,
  });
  stage.helpers.failure = undefined;
  stage.lock("/mnt/b");
  assert.deepEqual(stage.helper.readShort(), ["lock 2"]);
  assert.deepEqual(stage.observer.lines, [`ended: storage at /mnt: ${reason}`]);
});

Deno.test("StorageClient gives up a lock whose descriptor could not be received", () => {
  using stage = new Stage();
  const answer = stage.lock("/mnt/a");
  stage.helper.answer(1, { kind: "granted", identity: IDENTITY });
  assert.deepEqual(stage.until(answer), {
    kind: "failed",
    action: "Unable to acquire lock on resource /mnt/a",
    errno: EMFILE,
  });
  assert.deepEqual(stage.helper.readShort(), ["lock 1", "undo 1"]);
});

Deno.test("StorageClient takes no lock of which it cannot tell the helper that it is settled", () => {
  using stage = new Stage();
  const answer = stage.lock("/mnt/a");
  stage.grant(1);
  stage.mute = true;
  assert.deepEqual(stage.until(answer), {
    kind: "storage",
    action: "Unable to acquire lock on resource /mnt/a",
    reason: "its helper process cannot be reached",
  });
  assert.equal(stage.closed.length, 1);
  stage.turning.until(() => stage.client.active ? undefined : true);
  // The helper sees the end, and releases the lock.
  assert.deepEqual(stage.helper.readShort(), ["lock 1", "end"]);
});
