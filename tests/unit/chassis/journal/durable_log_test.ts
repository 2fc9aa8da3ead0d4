import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import type { KeptObject } from "../../../../src/chassis/journal/descriptor_keeper.ts";
import { DurableLog } from "../../../../src/chassis/journal/durable_log.ts";
import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import { LogFile } from "../../../../src/chassis/journal/log_file.ts";
import { ENOSPC } from "../../../../src/os/errno.ts";
import { kernel } from "../../../support/kernel.ts";
import { KeptLog } from "../../lockd/journal/kept_log.ts";
import { bytesOf } from "./recording_memory.ts";
import { TOY_FORMAT, type ToyOperation } from "./toy_format.ts";

/** A log of a daemon that has no locks, with a store that is played. */
class Stage implements Disposable {
  readonly loop = new EventLoop(kernel);
  readonly logger = new KeptLog();
  /** What the store was asked for. */
  readonly asked: string[] = [];
  readonly timers: (() => void)[] = [];
  /** What waits for the store; undefined when it does everything at once. */
  behind: (() => void)[] | undefined;
  full = false;
  readonly values = new Map<string, number>();
  readonly log: DurableLog<ToyOperation>;
  readonly #memory: SharedMemory;
  #replies = 0;

  constructor(keeps: boolean) {
    const sys = {
      ...kernel,
      pwrite: (fd: number, bytes: Uint8Array, at: number) =>
        this.full ? -ENOSPC : kernel.pwrite(fd, bytes, at),
    };
    this.#memory = new SharedMemory(sys, kernel.memfd("journal"));
    const store = {
      idle: true,
      store: (wanted: readonly KeptObject[], done: () => void) => {
        for (const { name } of wanted) this.asked.push(`store ${name}`);
        if (this.behind === undefined) done();
        else this.behind.push(done);
        return this.behind === undefined;
      },
      cancel: () => false,
      remove: (name: string) => void this.asked.push(`remove ${name}`),
      leave: (done: (reason: string | undefined) => void) => done(undefined),
    };
    this.log = new DurableLog({
      memory: this.#memory,
      log: LogFile.create(this.#memory, TOY_FORMAT),
      store: keeps ? store : undefined,
      loop: {
        defer: (task) => this.loop.defer(task),
        after: (_milliseconds, task) => {
          this.timers.push(task);
          return { due: 0, cancel: () => {} };
        },
        more: false,
      },
      logger: this.logger,
    });
  }

  begin(): void {
    const exchange = { promiseReply: () => ++this.#replies };
    this.log.begin({ exchange, snapshot: () => this.#snapshot() }, [{ name: "socket", fd: 9 }]);
  }

  set(name: string, value: number): void {
    this.values.set(name, value);
    this.log.add({ op: "set", name, value });
  }

  settle(key = 2): { settled: string; resumed: string[] } {
    const resumed: string[] = [];
    const request = { key, reply: bytesOf(7), length: 4, atOnce: true, turn: 1, end: 4 };
    return { settled: this.log.settle(request, (how) => void resumed.push(how)), resumed };
  }

  /** What the next daemon would read. */
  get recorded(): ToyOperation[] {
    const operations: ToyOperation[] = [];
    const read = LogFile.read(new SharedMemory(kernel, this.#memory.fd), TOY_FORMAT, (operation) => {
      operations.push(operation);
    });
    assert.ok(typeof read !== "string");
    return operations;
  }

  [Symbol.dispose](): void {
    this.loop.close();
    kernel.close(this.#memory.fd);
  }

  *#snapshot(): Generator<ToyOperation> {
    for (const [name, value] of this.values) yield { op: "set", name, value };
  }
}

const A: ToyOperation = { op: "set", name: "a", value: 1 };
const SERVED: ToyOperation = { op: "served", key: 2, front: 0, turn: 1, end: 4, reply: 1, bytes: bytesOf(7) };

Deno.test("DurableLog records nothing before it has begun, and then what there is", () => {
  using stage = new Stage(true);
  stage.set("a", 1);
  assert.equal(stage.settle().settled, "volatile");
  stage.loop.turn(0);
  assert.deepEqual([stage.recorded, stage.log.records], [[], false]);
  stage.begin();
  assert.deepEqual([stage.recorded, stage.asked, stage.log.records], [[A], ["store socket"], true]);
});

Deno.test("DurableLog stores what a request needs, records it with its reply, and only then lets that go", () => {
  using stage = new Stage(true);
  stage.begin();
  stage.log.want({ name: "file", fd: 8 });
  stage.set("a", 1);
  const behind = stage.behind = [];
  const { settled, resumed } = stage.settle();
  assert.deepEqual([settled, resumed, stage.recorded], ["later", [], []]);
  assert.deepEqual(stage.asked.slice(1), ["store file"]);
  for (const done of behind as (() => void)[]) done();
  assert.deepEqual(resumed, ["promised"]);
  // By then the request is in the client's input.
  assert.deepEqual(stage.recorded, [A, { ...SERVED, front: 4 }]);
});

Deno.test("DurableLog leaves no record of a request that changes nothing, but of one whose client is not stored yet", () => {
  using stage = new Stage(true);
  stage.begin();
  assert.equal(stage.settle().settled, "volatile");
  stage.behind = [];
  stage.log.connected(2, A, { name: "client", fd: 7 });
  assert.equal(stage.settle().settled, "later");
  for (const done of stage.behind.splice(0)) done();
  stage.behind = undefined;
  assert.equal(stage.settle().settled, "volatile");
  stage.log.disconnected(2);
  stage.loop.turn(0);
  assert.deepEqual(stage.recorded, [A, { ...SERVED, front: 4 }, { op: "gone", key: 2 }]);
});

Deno.test("DurableLog without a store records the requests of a batch together, and nothing of their replies", () => {
  using stage = new Stage(false);
  stage.begin();
  stage.set("a", 1);
  assert.equal(stage.settle().settled, "volatile");
  assert.deepEqual([stage.recorded, stage.asked, stage.log.keepsDescriptors], [[A], [], false]);
});

Deno.test("DurableLog has a descriptor forgotten when that is recorded, or never sent", () => {
  using stage = new Stage(true);
  stage.begin();
  const freed: string[] = [];
  stage.log.want({ name: "early", fd: 8 });
  stage.log.drop("early", () => freed.push("early"));
  assert.deepEqual(freed, ["early"]);
  stage.log.drop("late", () => freed.push("late"));
  stage.set("a", 1);
  stage.loop.turn(0);
  stage.loop.turn(0);
  assert.deepEqual([stage.asked, freed], [["store socket", "remove late"], ["early", "late"]]);
});

Deno.test("DurableLog is empty once it is left, records nothing then, and everything when it stays after all", () => {
  using stage = new Stage(true);
  stage.begin();
  stage.set("a", 1);
  let left = false;
  stage.log.leave(() => left = true);
  stage.set("b", 2);
  stage.log.want({ name: "file", fd: 8 });
  assert.equal(stage.settle().settled, "volatile");
  stage.loop.turn(0);
  assert.deepEqual([left, stage.recorded, stage.log.records], [true, [], false]);
  stage.log.stay([{ name: "socket", fd: 9 }]);
  assert.deepEqual(stage.recorded, [A, { op: "set", name: "b", value: 2 }]);
  stage.log.stay([{ name: "socket", fd: 9 }]);
  assert.deepEqual(stage.asked, ["store socket", "store socket"]);
});

Deno.test("DurableLog says once that it cannot be written, and has everything when it can again", () => {
  using stage = new Stage(true);
  stage.begin();
  stage.full = true;
  stage.set("long", 1);
  stage.log.add({ op: "set", name: "x".repeat(600_000), value: 1 });
  stage.loop.turn(0);
  assert.match(stage.log.status.failed ?? "", /ENOSPC/);
  stage.set("a", 1);
  assert.equal(stage.settle().settled, "promised");
  assert.deepEqual(stage.recorded, []);
  stage.full = false;
  stage.timers.shift()?.();
  assert.equal(stage.log.status.failed, undefined);
  assert.deepEqual(stage.recorded, [{ op: "set", name: "long", value: 1 }, A]);
  assert.deepEqual(
    stage.logger.lines.map((line) => line.slice(0, 40)),
    [
      "error: The journal cannot be written, a c",
      "warning: The journal works again",
    ].map((line) => line.slice(0, 40)),
  );
});
