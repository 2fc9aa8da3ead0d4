import assert from "node:assert/strict";
import { EIO } from "../../../../src/os/errno.ts";
import type { Verdict } from "../../../../src/lockd/lockspace/settler.ts";
import { mount } from "../../../support/storage_fixture.ts";
import { Answer, SHORT, SILENT, Stage } from "./storage_client_fixture.ts";

Deno.test("StorageClient tells who waits too long, and goes on waiting for the helper", () => {
  using stage = new Stage({ limit: SHORT, place: mount() });
  const answer = stage.lock("/mnt/a");
  stage.helper.send({ kind: "ready", pid: 4711 });
  assert.deepEqual(stage.until(answer), {
    kind: "storage",
    action: "Unable to acquire lock on resource /mnt/a",
    reason: SILENT,
  });
  assert.deepEqual(stage.client.status, {
    mount: mount(),
    state: "hung",
    since: 1_000_000,
    waiting: 0,
    helper: 4711,
  });
  assert.deepEqual(stage.observer.lines, [
    "hung: storage at /mnt: Unable to acquire lock on resource /mnt/a",
  ]);
  assert.deepEqual(stage.helper.readShort(), ["lock 1", "undo 1"]);
});

Deno.test("StorageClient says when not even the helper has started in time", () => {
  using stage = new Stage({ limit: SHORT, place: mount() });
  const outcome = stage.until(stage.lock("/mnt/a"));
  assert.equal(
    outcome.kind === "storage" && outcome.reason,
    "the helper process for storage at /mnt did not start within 0.03 s",
  );
});

Deno.test("StorageClient tells who waits behind a hung task after their own time, and does not send their tasks", () => {
  using stage = new Stage({ limit: SHORT, place: mount() });
  const first = stage.lock("/mnt/a");
  const second = stage.lock("/mnt/b");
  stage.helper.send({ kind: "ready", pid: 4711 });
  stage.until(first);
  const outcome = stage.until(second);
  assert.equal(outcome.kind === "storage" && outcome.reason, SILENT);
  assert.equal(stage.client.status.waiting, 0);
  assert.deepEqual(stage.helper.readShort(), ["lock 1", "undo 1"]);
  assert.equal(stage.observer.lines.length, 1);
});

Deno.test("StorageClient closes a lock that comes too late, and serves the next", () => {
  using stage = new Stage({ limit: SHORT, place: mount() });
  stage.until(stage.lock("/mnt/a"));
  stage.limit = 20_000;
  const next = stage.lock("/mnt/b");
  stage.grant(1);
  stage.helper.answer(1, { kind: "undone", path: "/mnt/a" });
  stage.turning.until(() => stage.client.status.state === "working" || undefined);
  stage.helper.answer(2, { kind: "refused", outcome: { kind: "failed", action: "x", errno: EIO } });
  assert.equal(stage.until(next).kind, "failed");
  assert.equal(stage.closed.length, 1);
  assert.deepEqual(stage.observer.lines.slice(1), [
    "recovered: storage at /mnt",
    "late: storage at /mnt: The lock on resource /mnt/a was released again, because nobody waited for it any more",
  ]);
});

Deno.test("StorageClient takes a late lock that the helper did not hand out", () => {
  using stage = new Stage({ limit: SHORT, place: mount() });
  stage.until(stage.lock("/mnt/a"));
  const failure = { action: "Unable to unlink resource /mnt/a", errno: EIO, released: true };
  stage.helper.answer(1, { kind: "undone", path: "/mnt/a", failure });
  stage.turning.until(() => stage.client.status.state === "idle" || undefined);
  assert.deepEqual(stage.observer.lines.slice(1), [
    "recovered: storage at /mnt",
    "late: storage at /mnt: The lock on resource /mnt/a was released again, because nobody waited for it any more, " +
    "but not all of it: Unable to unlink resource /mnt/a",
  ]);
});

Deno.test("StorageClient tells of a change that was made after its asker had gone", () => {
  using stage = new Stage({ limit: SHORT, place: mount() });
  const answer = new Answer<unknown>();
  stage.client.create("/mnt/a", false, answer.take);
  stage.until(answer);
  stage.helper.answer(1, { kind: "done" });
  stage.turning.until(() => stage.client.status.state === "idle" || undefined);
  assert.equal(answer.all.length, 1);
  assert.deepEqual(
    stage.observer.lines.at(-1),
    "late: storage at /mnt: cannot create file '/mnt/a': it was done in the end",
  );
});

Deno.test("StorageClient closes the daemon's descriptor when the lock is released, then settles", () => {
  using stage = new Stage();
  const fd = stage.file();
  const answer = stage.unlock("/mnt/a", fd);
  const [asked] = stage.helper.read();
  if (asked === undefined || asked === "end") throw new Error("No task");
  assert.equal(asked.descriptors.length, 1);
  for (const copy of asked.descriptors) stage.turning.sys.close(copy);
  assert.deepEqual(stage.closed, []);
  stage.helper.answer(1, { kind: "released" });
  assert.deepEqual(stage.until(answer), ["done", undefined]);
  assert.deepEqual(stage.closed, [fd]);
  assert.deepEqual(stage.helper.readShort(), ["settled 1"]);
});

Deno.test("StorageClient keeps the descriptor of a lock that could not be released", () => {
  using stage = new Stage();
  const fd = stage.file();
  const answer = stage.unlock("/mnt/a", fd);
  const failure = { action: "Unable to unlink resource /mnt/a", errno: EIO, released: false };
  stage.helper.answer(1, { kind: "released", failure });
  assert.deepEqual(stage.until(answer), ["done", { kind: "system", ...failure }]);
  assert.deepEqual(stage.closed, []);
  assert.deepEqual(stage.helper.readShort(), ["unlock 1", "settled 1"]);
  stage.turning.sys.close(fd);
});

Deno.test("StorageClient says that a release is slow, and does it when storage answers", () => {
  using stage = new Stage({ limit: SHORT, place: mount() });
  const fd = stage.file();
  const answer = stage.unlock("/mnt/a", fd);
  stage.helper.send({ kind: "ready", pid: 4711 });
  const reason = {
    kind: "storage",
    action: "Unable to release lock on resource /mnt/a",
    reason: SILENT,
    released: false,
  };
  assert.deepEqual(stage.until(answer), ["slow", reason]);
  assert.equal(stage.client.status.state, "hung");
  stage.helper.answer(1, { kind: "released" });
  assert.deepEqual(stage.until(answer, 2), ["done", undefined]);
  assert.deepEqual(stage.closed, [fd]);
  assert.deepEqual(stage.helper.readShort(), ["unlock 1", "settled 1"]);
});

Deno.test("StorageClient keeps a release that waits behind a hung task", () => {
  using stage = new Stage();
  stage.lock("/mnt/a");
  stage.limit = SHORT;
  const fd = stage.file();
  const answer = stage.unlock("/mnt/b", fd);
  assert.equal(stage.until(answer)[0], "slow");
  assert.equal(stage.client.status.waiting, 1);
  stage.helper.answer(1, { kind: "refused", outcome: { kind: "failed", action: "x", errno: EIO } });
  stage.turning.until(() => stage.client.status.waiting === 0 || undefined);
  stage.helper.answer(2, { kind: "released" });
  assert.deepEqual(stage.until(answer, 2), ["done", undefined]);
});

Deno.test("StorageClient waits longer each time for word of the last writes, so that slow word counts in the end", () => {
  using stage = new Stage({ limit: SHORT, place: mount() });
  const judge = () => {
    const answer = new Answer<Verdict>();
    stage.client.judge({ op: "judge-guards", question: { names: [], sync: true } }, undefined, answer.take);
    return answer;
  };
  const reasons = [1, 2, 3].map((id) => {
    const answer = judge();
    if (id === 1) stage.helper.send({ kind: "ready", pid: 4711 });
    const verdict = stage.until(answer);
    stage.helper.answer(id, { kind: "judged", verdict: { kind: "over" } });
    stage.turning.until(() => stage.client.status.state === "idle" || undefined);
    return verdict.kind === "busy" && verdict.reason;
  });
  assert.deepEqual(reasons, [
    "storage at /mnt did not answer within 0.03 s",
    "storage at /mnt did not answer within 0.06 s",
    "storage at /mnt did not answer within 0.12 s",
  ]);
  // Nobody else has to wait so long.
  const lock = stage.until(stage.lock("/mnt/a"));
  assert.equal(lock.kind === "storage" && lock.reason, "storage at /mnt did not answer within 0.03 s");
});
