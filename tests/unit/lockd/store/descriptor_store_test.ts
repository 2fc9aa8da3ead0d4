import assert from "node:assert/strict";
import { DescriptorStore } from "../../../../src/lockd/store/descriptor_store.ts";
import type { StoreSocket } from "../../../../src/lockd/store/store_outbox.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { isTripwire } from "../../../../src/lockd/store/tripwires.ts";
import { F_DUPFD_CLOEXEC, SOCK_DGRAM } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";
import { MovedLoop } from "../../../support/moved_loop.ts";
import { KeptLog } from "../journal/kept_log.ts";

/** A service manager that takes as many messages as it has room for, and a store that talks to it. */
class Stage implements Disposable {
  readonly sent: string[] = [];
  readonly log = new KeptLog();
  readonly time = new MovedLoop();
  readonly loop = this.time.loop;
  readonly store: DescriptorStore;
  /** How often the store said that something was dropped. */
  drops = 0;
  room = Infinity;
  errno = 0;
  /** Told of what the manager takes, as long as it is open here. */
  taken: (name: string, fd: number) => void = () => {};
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
        const name = lines.find((line) => line.startsWith("FDNAME="))?.slice("FDNAME=".length);
        for (const fd of descriptors) if (name !== undefined) this.taken(name, fd);
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
      dropped: () => void this.drops++,
    });
  }

  [Symbol.dispose](): void {
    this.time[Symbol.dispose]();
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
  assert.deepEqual(stage.store.contents.missing, ["lock-11"]);
  assert.deepEqual(stage.store.status, {
    stored: 10,
    inQueues: 0,
    limit: 10,
    refused: 1,
    queued: 0,
    kept: true,
  });
  stage.store.remove("lock-11");
  assert.deepEqual(stage.store.contents.missing, []);
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
  assert.deepEqual([stage.store.contents.missing, stage.store.contents.leftOver], [["new"], ["old"]]);
});

Deno.test("DescriptorStore keeps a queue in the store when what is left of it could not be stored anew", () => {
  using stage = new Stage();
  const queued = true;
  assert.equal(
    stage.store.store([{ name: "A", fd: 0, queued }, { name: "B", fd: 0, queued }], () => {}),
    true,
  );
  const [first = ""] = stage.store.contents.queues.map(({ name }) => name);
  stage.sent.length = 0;
  stage.store.remove("A");
  stage.errno = 109;
  assert.equal(stage.log.lines.some((line) => line.includes("stays in the store")), false);
  stage.time.wait(5);
  assert.equal(stage.log.lines.some((line) => line.includes("stays in the store")), true);
  stage.errno = 0;
  assert.equal(stage.sent.some((line) => line.includes(`FDNAME=${first}`)), false);
  assert.equal(stage.store.refused, true);
});

/** A store that is guarded, with what was stored, and the ends of tripwires that its manager has. */
class GuardedStage extends Stage {
  readonly ends = new Map<string, number>();

  constructor(limit = 10) {
    super(limit);
    this.taken = (name, fd) => {
      if (isTripwire(name)) this.ends.set(name, kernel.fcntl(fd, F_DUPFD_CLOEXEC, 0));
    };
    this.store.guard();
  }

  /** The manager drops a name. */
  drop(name: string): void {
    kernel.close(this.ends.get(name) ?? -1);
    this.ends.delete(name);
    this.loop.turn(0);
  }

  override [Symbol.dispose](): void {
    for (const fd of this.ends.values()) kernel.close(fd);
    super[Symbol.dispose]();
  }
}

/** Names of what was sent, and `-` with those of what was removed. */
function names(stage: Stage): string[] {
  return stage.sent.splice(0).map((message) =>
    `${message.startsWith("FDSTOREREMOVE") ? "-" : ""}${
      /FDNAME=(\S+)/.exec(message)?.[1] ?? message.split(" ")[0]
    }`
  );
}

Deno.test("DescriptorStore stores a tripwire before everything else and one behind it", () => {
  using stage = new GuardedStage();
  stage.store.store([{ name: "a", fd: 5 }], () => {});
  stage.store.seal();
  assert.deepEqual(names(stage), ["tripwire-0", "a", "tripwire-1"]);
  // Behind the last one again, which goes afterwards.
  stage.store.store([{ name: "b", fd: 6 }], () => {});
  stage.time.wait(3000);
  assert.deepEqual(names(stage), ["b", "tripwire-2", "-tripwire-1"]);
  stage.drop("tripwire-1");
  assert.equal(stage.drops, 0);
  assert.equal(stage.store.status.stored, 4);
});

for (const tripped of ["tripwire-0", "tripwire-1"]) {
  Deno.test(`DescriptorStore counts nothing as stored when the manager has dropped ${tripped}`, () => {
    using stage = new GuardedStage();
    stage.store.store([{ name: "a", fd: 5 }, { name: "b", fd: 6 }], () => {});
    stage.store.seal();
    names(stage);
    stage.drop(tripped);
    assert.equal(stage.drops, 1);
    const { stored, refused, kept } = stage.store.status;
    assert.deepEqual({ stored, refused, kept }, { stored: 0, refused: 2, kept: false });
    assert.deepEqual(stage.store.contents.missing, ["a", "b"]);
    // What is left of it would be in the way.
    const others = ["-tripwire-0", "-a", "-b", "-tripwire-1"].filter((name) => name !== `-${tripped}`);
    assert.deepEqual(names(stage), others);
    stage.store.store([{ name: "c", fd: 7 }], () => {});
    assert.deepEqual(names(stage), []);
    assert.equal(stage.store.status.refused, 3);
    assert.match(
      stage.log.lines.join("\n"),
      /is not kept by the service manager \(c\).*: systemd does not take it/,
    );
  });
}

Deno.test("DescriptorStore.probe() finds out whether the manager takes anything, and resume() stores again", () => {
  using stage = new GuardedStage();
  stage.store.store([{ name: "a", fd: 5 }], () => {});
  stage.drop("tripwire-0");
  names(stage);
  const taken: boolean[] = [];
  const probe = () => stage.store.probe((value) => taken.push(value));
  probe();
  assert.deepEqual(names(stage), ["tripwire-0", "BARRIER=1"]);
  stage.drop("tripwire-0");
  stage.time.turn();
  stage.time.wait(50);
  assert.deepEqual(taken, [false]);
  assert.equal(stage.drops, 1);

  probe();
  assert.deepEqual(names(stage), ["tripwire-0", "BARRIER=1"]);
  stage.time.turn();
  stage.time.wait(50);
  assert.deepEqual(taken, [false, true]);
  stage.store.resume(7);
  stage.store.guard();
  stage.store.store([{ name: "a", fd: 5 }], () => {});
  stage.store.seal();
  assert.deepEqual(names(stage), ["a", "tripwire-1"]);
  const { stored, refused, kept, limit } = stage.store.status;
  assert.deepEqual({ stored, refused, kept, limit }, { stored: 3, refused: 0, kept: true, limit: 7 });
  stage.drop("tripwire-1");
  assert.equal(stage.drops, 2);
});

Deno.test("DescriptorStore has room for tripwires always, and for others only beside them", () => {
  using stage = new GuardedStage(5);
  stage.store.store([{ name: "a", fd: 5 }, { name: "b", fd: 6 }, { name: "c", fd: 7 }], () => {});
  stage.store.seal();
  stage.store.seal();
  assert.deepEqual(names(stage), ["tripwire-0", "a", "b", "tripwire-1", "tripwire-2", "-tripwire-1"]);
  assert.deepEqual(stage.store.contents.missing, ["c"]);
});

Deno.test("DescriptorStore.leave() is no drop, and puts no tripwire any more", () => {
  using stage = new GuardedStage();
  stage.store.store([{ name: "a", fd: 5 }], () => {});
  stage.store.seal();
  names(stage);
  stage.store.leave(() => {});
  assert.deepEqual(names(stage), ["-tripwire-0", "-a", "-tripwire-1", "BARRIER=1"]);
  for (const name of [...stage.ends.keys()]) stage.drop(name);
  stage.time.wait(2500);
  assert.deepEqual([stage.drops, names(stage)], [0, []]);
});

Deno.test("DescriptorStore goes on with tripwires of an earlier life", () => {
  using before = new GuardedStage();
  before.store.seal();
  using stage = new Stage();
  const returned = [...before.ends].map(([name, fd]) => ({ name, fd: kernel.fcntl(fd, F_DUPFD_CLOEXEC, 0) }));
  stage.store.adoptTripwires([], returned);
  stage.store.guard();
  assert.deepEqual(stage.sent, []);
  assert.equal(stage.store.status.stored, 2);
  stage.store.seal();
  assert.deepEqual(names(stage), ["tripwire-2", "-tripwire-1"]);
});

Deno.test("DescriptorStore.resume() forgets what was refused and is not wanted any more", () => {
  using stage = new GuardedStage();
  stage.store.store([{ name: "a", fd: 5 }, { name: "b", fd: 6 }], () => {});
  stage.drop("tripwire-0");
  stage.store.resume(10);
  stage.store.store([{ name: "a", fd: 5 }], () => {});
  assert.deepEqual(stage.store.contents.missing, []);
});

Deno.test("DescriptorStore.purge() takes a name out that it does not know of", () => {
  using stage = new Stage();
  stage.store.purge("virtlockd.socket");
  assert.deepEqual(names(stage), ["-virtlockd.socket"]);
});
