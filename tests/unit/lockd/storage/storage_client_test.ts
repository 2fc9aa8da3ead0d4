import assert from "node:assert/strict";
import { O_RDWR } from "../../../../src/os/constants.ts";
import { EIO, EMFILE, ENOBUFS } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { must, SystemError } from "../../../../src/os/system_error.ts";
import type { FileIdentity } from "../../../../src/lockd/lockspace/file_identity.ts";
import type { LockRequest, UnlockRequest } from "../../../../src/lockd/lockspace/lock_file.ts";
import type { LockFilesOutcome, UnlockFailed } from "../../../../src/lockd/lockspace/lock_files.ts";
import { StorageClient } from "../../../../src/lockd/storage/storage_client.ts";
import type { Mount } from "../../../../src/lockd/storage/mount_tree.ts";
import { PlayedHelpers } from "./played_helper.ts";
import { mount, openDescriptors, RecordedStorage, Turning } from "../../../support/storage_fixture.ts";

const IDENTITY: FileIdentity = { devMajor: 0, devMinor: 2, inodeLow: 7, inodeHigh: 0 };
/** A time limit that a test waits for, in ms. */
const SHORT = 30;
const SILENT = "storage at /mnt did not answer within 0.03 s";

function request(path: string, parts: Partial<LockRequest> = {}): LockRequest {
  return { path, shared: false, autocreate: true, followLinks: false, ...parts };
}

/** A client whose helpers the test plays. Disposing of it checks that no descriptor is left. */
class Stage implements Disposable {
  readonly #before = openDescriptors();
  /** Whether the client cannot send any more. */
  mute = false;
  readonly #real = linuxSys();
  readonly turning = new Turning({
    ...this.#real,
    sendMessage: (fd, bytes, descriptors) =>
      this.mute ? -ENOBUFS : this.#real.sendMessage(fd, bytes, descriptors),
  });
  readonly helpers = new PlayedHelpers(this.#real);
  readonly observer = new RecordedStorage();
  readonly client: StorageClient;
  /** Descriptors that were closed as lock files. */
  readonly closed: number[] = [];
  rested = 0;
  /** Time limit of the next ask, in ms. */
  limit: number;

  constructor({ limit = 20_000, place }: { limit?: number; place: Mount | undefined } = { place: mount() }) {
    this.limit = limit;
    const { sys, loop, ledger } = this.turning;
    this.client = new StorageClient({
      sys,
      loop,
      ledger,
      starter: this.helpers,
      closeFile: (fd) => {
        this.closed.push(fd);
        sys.close(fd);
      },
      timeLimit: () => this.limit,
      observer: this.observer,
      now: () => 1_000_000,
      rested: () => this.rested++,
    }, place);
  }

  get helper() {
    return this.helpers.helper;
  }

  /** Asks for a lock; what came of it, once it has. */
  lock(path: string, parts: Partial<LockRequest> = {}): Answer<LockFilesOutcome> {
    const answer = new Answer<LockFilesOutcome>();
    this.client.lock(request(path, parts), answer.take);
    return answer;
  }

  /** Releases; `slow` and `done` in the order in which they came. */
  unlock(path: string, fd: number): Answer<[what: "slow" | "done", failure: UnlockFailed | undefined]> {
    const answer = new Answer<["slow" | "done", UnlockFailed | undefined]>();
    const what: UnlockRequest = { path, fd, lock: "ofd", shared: false, autocreate: true, force: false };
    this.client.unlock(
      what,
      IDENTITY,
      (failure) => answer.take(["slow", failure]),
      (failure) => answer.take(["done", failure]),
    );
    return answer;
  }

  /** Any open file. */
  file(): number {
    return must(this.turning.sys.open("/dev/null", O_RDWR, 0), "open", "/dev/null");
  }

  /** Grants the lock with this id, with a descriptor. */
  grant(id: number): void {
    const fd = this.file();
    this.helper.answer(id, { kind: "granted", identity: IDENTITY }, [fd]);
    this.turning.sys.close(fd);
  }

  /** Turns the loop until there is this many answers. @returns the last */
  until<T>(answer: Answer<T>, count = 1): T {
    return this.turning.until(() =>
      answer.all.length >= count ? { value: answer.all.at(-1) as T } : undefined
    ).value;
  }

  [Symbol.dispose](): void {
    this.client.close();
    this.helpers.close();
    this.turning[Symbol.dispose]();
    assert.equal(openDescriptors(), this.#before, "descriptors are left open");
    assert.equal(this.turning.ledger.size, 0);
  }
}

/** Keeps every answer. */
class Answer<T> {
  readonly all: T[] = [];
  readonly take = (value: T): void => void this.all.push(value);
}

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
