import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { DescriptorStore, type StoreSocket } from "../../../../src/lockd/journal/descriptor_store.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { SOCK_DGRAM } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";
import { KeptLog } from "./kept_log.ts";

/** A service manager that takes as many messages as it has room for, and a store that talks to it. */
class Stage implements Disposable {
  readonly sent: string[] = [];
  readonly log = new KeptLog();
  readonly loop = new EventLoop(kernel);
  readonly store: DescriptorStore;
  room = Infinity;
  errno = 0;
  readonly #ends: [number, number];

  constructor(limit = 10, stored: string[] = []) {
    const ends = kernel.socketPair(SOCK_DGRAM);
    if (typeof ends === "number") throw new Error(`socketpair: errno ${-ends}`);
    this.#ends = ends;
    const socket: StoreSocket = {
      // Always writable: each turn of the loop tries again.
      fd: ends[0],
      send: (lines, descriptors = []) => {
        if (this.errno !== 0) return this.errno;
        if (this.room === 0) return "full";
        this.room--;
        this.sent.push([...lines, ...descriptors.map((fd) => fd > 100 ? "pipe" : `fd ${fd}`)].join(" "));
        return "sent";
      },
    };
    this.store = new DescriptorStore({
      socket,
      loop: this.loop,
      sys: kernel,
      ledger: new DescriptorLedger(kernel),
      log: this.log,
      limit,
      stored,
    });
  }

  [Symbol.dispose](): void {
    this.loop.close();
    for (const fd of this.#ends) kernel.close(fd);
  }
}

Deno.test("DescriptorStore.store() sends one message for each name and is done at once", () => {
  using stage = new Stage();
  let done = 0;
  const at = [{ name: "lock-1", fd: 5 }, { name: "lock-2", fd: 6 }];
  assert.equal(stage.store.store(at, () => done++), true);
  assert.equal(done, 1);
  assert.deepEqual(stage.sent, [
    "FDSTORE=1 FDNAME=lock-1 FDPOLL=0 fd 5",
    "FDSTORE=1 FDNAME=lock-2 FDPOLL=0 fd 6",
  ]);
});

Deno.test("DescriptorStore.store() does not send what is stored", () => {
  using stage = new Stage(10, ["lock-1"]);
  assert.equal(stage.store.store([{ name: "lock-1", fd: 5 }], () => {}), true);
  assert.deepEqual(stage.sent, []);
});

Deno.test("DescriptorStore.store() waits for a manager that is behind, in order", () => {
  using stage = new Stage();
  const done: string[] = [];
  stage.room = 1;
  assert.equal(stage.store.store([{ name: "a", fd: 1 }, { name: "b", fd: 2 }], () => done.push("ab")), false);
  assert.equal(stage.store.store([], () => done.push("nothing")), false);
  stage.store.remove("a");
  assert.deepEqual(done, []);
  stage.loop.turn(0);
  assert.deepEqual(done, []);
  stage.room = Infinity;
  stage.loop.turn(0);
  assert.deepEqual(done, ["ab", "nothing"]);
  assert.deepEqual(stage.sent, [
    "FDSTORE=1 FDNAME=a FDPOLL=0 fd 1",
    "FDSTORE=1 FDNAME=b FDPOLL=0 fd 2",
    "FDSTOREREMOVE=1 FDNAME=a",
  ]);
  assert.equal(stage.store.idle, true);
});

Deno.test("DescriptorStore.cancel() keeps a descriptor that is about to be closed from being sent", () => {
  using stage = new Stage();
  let done = false;
  stage.room = 0;
  stage.store.store([{ name: "a", fd: 1 }, { name: "b", fd: 2 }], () => done = true);
  assert.equal(stage.store.cancel("a"), true);
  assert.equal(stage.store.cancel("a"), false);
  stage.room = Infinity;
  stage.loop.turn(0);
  assert.equal(done, true);
  assert.deepEqual(stage.sent, ["FDSTORE=1 FDNAME=b FDPOLL=0 fd 2"]);
  assert.equal(stage.store.has("a"), false);
});

Deno.test("DescriptorStore.remove() of an unknown name sends nothing", () => {
  using stage = new Stage();
  stage.store.remove("lock-9");
  assert.deepEqual(stage.sent, []);
});

Deno.test("DescriptorStore.store() warns once at 90% and refuses what is over the limit", () => {
  using stage = new Stage(10);
  for (let id = 1; id <= 11; id++) stage.store.store([{ name: `lock-${id}`, fd: id }], () => {});
  assert.equal(stage.sent.length, 10);
  assert.deepEqual(stage.log.lines, [
    "warning: The service manager keeps 9 descriptors and takes 10: raise FileDescriptorStoreMax= of the service, or further locks would not survive a crash",
    "error: A lock or connection is not kept by the service manager (lock-11), a crash would lose it: the store is full: it takes 10",
  ]);
  assert.deepEqual(stage.store.missing, ["lock-11"]);
  assert.deepEqual(stage.store.status, { stored: 10, inQueues: 0, limit: 10, refused: 1, queued: 0 });
  stage.store.remove("lock-11");
  assert.deepEqual(stage.store.missing, []);
});

Deno.test("DescriptorStore.store() is done, and says so, when the manager cannot be reached", () => {
  using stage = new Stage();
  stage.errno = 111;
  assert.equal(stage.store.store([{ name: "lock-1", fd: 5 }], () => {}), true);
  assert.deepEqual(stage.log.lines, [
    "error: A lock or connection is not kept by the service manager (lock-1), a crash would lose it: Connection refused",
  ]);
  assert.equal(stage.store.has("lock-1"), false);
});

Deno.test("DescriptorStore.leave() removes every name and waits for the barrier", () => {
  using stage = new Stage();
  stage.store.store([{ name: "a", fd: 1 }, { name: "b", fd: 2 }], () => {});
  stage.sent.splice(0);
  let left: string | undefined = "not yet";
  stage.store.leave((reason) => left = reason);
  assert.deepEqual(stage.sent.map((line) => line.replace(/fd \d+/, "pipe")), [
    "FDSTOREREMOVE=1 FDNAME=a",
    "FDSTOREREMOVE=1 FDNAME=b",
    "BARRIER=1 pipe",
  ]);
  // The copy that was sent is closed here: nobody received it, so the pipe hangs up.
  stage.loop.turn(1000);
  assert.equal(left, undefined);
});

Deno.test("DescriptorStore.tell() sends a message behind everything else", () => {
  using stage = new Stage();
  stage.room = 0;
  stage.store.store([{ name: "a", fd: 1 }], () => {});
  stage.store.tell(["READY=1"]);
  stage.room = Infinity;
  stage.loop.turn(0);
  assert.deepEqual(stage.sent, ["FDSTORE=1 FDNAME=a FDPOLL=0 fd 1", "READY=1"]);
});

Deno.test("DescriptorStore.store() refuses what would make the names too long for one environment variable", () => {
  const names = Array.from({ length: 1299 }, (_, index) => `${index}`.padStart(99, "x"));
  using stage = new Stage(5000, names);
  stage.store.store([{ name: "y".repeat(99), fd: 1 }, { name: "z", fd: 2 }], () => {});
  assert.equal(stage.sent.length, 1);
  assert.match(
    stage.log.lines.at(-1) ?? "",
    /manager \(z\), .*with 1300 names no daemon could be started any more$/,
  );
  stage.store.remove(names[0] ?? "");
  stage.store.store([{ name: "z", fd: 2 }], () => {});
  assert.equal(stage.store.has("z"), true);
});

Deno.test("DescriptorStore tells the next image what is not stored yet and what is still stored", () => {
  using stage = new Stage(10, ["old"]);
  stage.room = 0;
  stage.store.store([{ name: "new", fd: 1 }], () => {});
  stage.store.remove("old");
  assert.deepEqual([stage.store.missing, stage.store.leftOver], [["new"], ["old"]]);
});

Deno.test("DescriptorStore keeps a queue in the store when what is left of it could not be stored anew", () => {
  using stage = new Stage();
  const queued = true;
  assert.equal(
    stage.store.store([{ name: "A", fd: 0, queued }, { name: "B", fd: 0, queued }], () => {}),
    true,
  );
  const [first = ""] = stage.store.queues.map(({ name }) => name);
  stage.sent.length = 0;
  stage.store.remove("A");
  stage.errno = 109;
  const begun = performance.now();
  while (!stage.log.lines.some((line) => line.includes("stays in the store"))) {
    assert.ok(performance.now() - begun < 10_000, "it was never tidied");
    stage.loop.turn(5);
  }
  stage.errno = 0;
  assert.equal(stage.sent.some((line) => line.includes(`FDNAME=${first}`)), false);
  assert.equal(stage.store.refused, true);
});
