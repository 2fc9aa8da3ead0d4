import assert from "node:assert/strict";
import { EIO } from "../../../../src/os/errno.ts";
import type { LockRequest } from "../../../../src/lockd/lockspace/lock_file.ts";
import { mount } from "../../../support/storage_fixture.ts";
import { Answer, IDENTITY, SHORT, Stage } from "./storage_client_fixture.ts";

Deno.test("StorageClient starts its helper with the first ask only", () => {
  using stage = new Stage();
  assert.equal(stage.helpers.helpers.length, 0);
  assert.equal(stage.client.status.state, "absent");
  stage.client.makeDirectory("/mnt/a", () => {});
  stage.client.makeDirectory("/mnt/b", () => {});
  assert.equal(stage.helpers.helpers.length, 1);
});

Deno.test("StorageClient hands out a granted lock, and then tells the helper that it is settled", () => {
  using stage = new Stage();
  const answer = stage.lock("/mnt/a");
  assert.deepEqual(stage.helper.readShort(), ["lock 1"]);
  stage.grant(1);
  const outcome = stage.until(answer);
  if (outcome.kind !== "granted") throw new Error("The lock was not granted");
  assert.deepEqual(outcome.identity, IDENTITY);
  assert.deepEqual(stage.helper.readShort(), ["settled 1"]);
  assert.equal(stage.helpers.pinned, true);
  stage.turning.sys.close(outcome.fd);
});

Deno.test("StorageClient passes a refusal on", () => {
  using stage = new Stage();
  const answer = stage.lock("/mnt/a");
  stage.helper.answer(1, { kind: "refused", outcome: { kind: "busy", identity: IDENTITY, pid: -1 } });
  assert.deepEqual(stage.until(answer), { kind: "busy", identity: IDENTITY, pid: -1 });
  assert.equal(stage.helpers.pinned, false);
});

Deno.test("StorageClient sends the owner record of an exclusive autocreated lock in a directory only", () => {
  using stage = new Stage();
  const record = () => "domain 'a'";
  stage.lock("/mnt/a", { record });
  const cases: Partial<LockRequest>[] = [{ shared: true }, { autocreate: false }, { followLinks: true }];
  for (const parts of cases) stage.lock("/mnt/a", { record, ...parts });
  const records: unknown[] = [];
  for (let id = 1; id <= 4; id++) {
    const [asked] = stage.helper.read();
    if (asked === undefined || asked === "end" || asked.message.kind !== "task") throw new Error("No task");
    const { task } = asked.message;
    records.push(task.op === "lock" ? task.request.record : task.op);
    stage.helper.answer(id, { kind: "refused", outcome: { kind: "failed", action: "x", errno: EIO } });
    stage.turning.until(() => stage.client.status.waiting < 4 - id || id === 4 ? true : undefined);
  }
  assert.deepEqual(records, ["domain 'a'", undefined, undefined, undefined]);
});

Deno.test("StorageClient tells that an owner record could not be written", () => {
  using stage = new Stage();
  const answer = stage.lock("/mnt/a");
  const fd = stage.file();
  stage.helper.answer(1, { kind: "granted", identity: IDENTITY, recordErrno: EIO }, [fd]);
  stage.turning.sys.close(fd);
  const outcome = stage.until(answer);
  assert.deepEqual(stage.observer.lines, ["record: /mnt/a: 5"]);
  if (outcome.kind === "granted") stage.turning.sys.close(outcome.fd);
});

Deno.test("StorageClient gives a helper one task at a time, in order", () => {
  using stage = new Stage();
  const done: string[] = [];
  for (const name of ["a", "b", "c"]) stage.client.remove(`/mnt/${name}`, () => done.push(name));
  for (let id = 1; id <= 3; id++) {
    assert.deepEqual(stage.helper.readShort(), [`remove ${id}`]);
    assert.equal(stage.client.status.waiting, 3 - id);
    stage.helper.answer(id, { kind: "done" });
    stage.turning.until(() => done.length === id || undefined);
  }
  assert.deepEqual(done, ["a", "b", "c"]);
});

Deno.test("StorageClient passes failures of create, remove and makeDirectory on", () => {
  using stage = new Stage();
  const failure = { kind: "system" as const, action: "Unable", errno: EIO };
  const answers = [1, 2, 3].map(() => new Answer<unknown>());
  stage.client.create("/mnt/a", false, (answers[0] as Answer<unknown>).take);
  stage.client.remove("/mnt/a", (answers[1] as Answer<unknown>).take);
  stage.client.makeDirectory("/mnt/a", (answers[2] as Answer<unknown>).take);
  for (const [index, answer] of answers.entries()) {
    stage.helper.answer(index + 1, { kind: "done", failure });
    assert.deepEqual(stage.until(answer), failure);
  }
});

Deno.test("StorageClient.findHolder() answers what the helper found, and nothing when that took too long", () => {
  using stage = new Stage({ place: undefined });
  const first = new Answer<unknown>();
  stage.client.findHolder("/a", IDENTITY, first.take);
  const [asked] = stage.helper.read();
  assert.deepEqual(asked === "end" ? asked : asked?.message, {
    kind: "task",
    id: 1,
    task: { op: "find-holder", path: "/a", identity: IDENTITY, shared: false },
  });
  stage.helper.answer(1, { kind: "holder", holder: { kind: "process", pid: 9, command: "keeper" } });
  assert.deepEqual(stage.until(first), { kind: "process", pid: 9, command: "keeper" });
  const second = new Answer<unknown>();
  stage.limit = SHORT;
  stage.client.findHolder("/a", IDENTITY, second.take);
  assert.deepEqual(stage.until(second), { kind: "unknown" });
});

Deno.test("StorageClient.findHolder() knows that a FUSE file system may keep a lock for nobody", () => {
  for (
    const [type, wanted] of [
      ["fuse.moosefs", { kind: "file-system", mount: "/mnt" }],
      ["nfs4", { kind: "other-host" }],
    ] as const
  ) {
    using stage = new Stage({ place: mount({ type }) });
    const answer = new Answer<unknown>();
    stage.client.findHolder("/mnt/a", IDENTITY, answer.take);
    stage.helper.read();
    stage.helper.answer(1, { kind: "holder", holder: { kind: "other-host" } });
    assert.deepEqual(stage.until(answer), wanted);
  }
});

Deno.test("StorageClient.run() gives a program its own time and its helper some more", () => {
  using stage = new Stage({ limit: SHORT, place: undefined });
  const { loop } = stage.turning;
  const after = loop.after.bind(loop);
  const limits: number[] = [];
  loop.after = (milliseconds, task) => {
    limits.push(milliseconds);
    return after(milliseconds, task);
  };
  const command = { path: "/bin/x", argv: ["x"], env: [] };
  const answer = new Answer<unknown>();
  stage.client.run(command, 10_000, answer.take);
  const [asked] = stage.helper.read();
  assert.deepEqual(asked === "end" ? asked : asked?.message, {
    kind: "task",
    id: 1,
    task: { op: "run", command, limit: 10_000 },
  });
  assert.deepEqual(limits, [15_000]);
  stage.helper.answer(1, { kind: "ran", program: { kind: "ended", code: 3, output: "text" } });
  assert.deepEqual(stage.until(answer), { kind: "ended", code: 3, output: "text" });
});

Deno.test("StorageClient.run() fails when its helper ends", () => {
  using stage = new Stage({ place: undefined });
  const answer = new Answer<unknown>();
  stage.client.run({ path: "/bin/x", argv: ["x"], env: [] }, 10_000, answer.take);
  stage.helper.end();
  assert.deepEqual(stage.until(answer), { kind: "failed", reason: "its helper process has ended" });
});

Deno.test("StorageClient lets a helper without work go after a minute", () => {
  using stage = new Stage();
  const { loop } = stage.turning;
  const timers: { milliseconds: number; task: () => void }[] = [];
  const after = loop.after.bind(loop);
  loop.after = (milliseconds, task) => {
    timers.push({ milliseconds, task });
    return after(milliseconds, task);
  };
  const answer = new Answer<unknown>();
  stage.client.remove("/mnt/a", answer.take);
  stage.helper.answer(1, { kind: "done" });
  stage.until(answer);
  const idle = timers.at(-1);
  assert.equal(idle?.milliseconds, 60_000);
  assert.equal(stage.client.active, true);
  idle?.task();
  assert.equal(stage.client.active, false);
  assert.equal(stage.rested, 1);
  assert.deepEqual(stage.helper.readShort(), ["remove 1", "end"]);
  stage.client.remove("/mnt/a", () => {});
  assert.equal(stage.helpers.helpers.length, 2);
});

Deno.test("StorageClient.close() lets the helper go in the middle of a task", () => {
  using stage = new Stage();
  const answer = stage.lock("/mnt/a");
  stage.client.close();
  assert.deepEqual(stage.helper.readShort(), ["lock 1", "end"]);
  assert.equal(answer.all.length, 0);
  assert.deepEqual(stage.observer.lines, []);
});
