import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { type StoreMessage, StoreOutbox } from "../../../../src/lockd/store/store_outbox.ts";
import { Tripwires } from "../../../../src/lockd/store/tripwires.ts";
import { SOCK_DGRAM } from "../../../../src/os/constants.ts";
import { ECONNREFUSED, EMFILE } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";
import { KeptLog } from "../journal/kept_log.ts";

/** A manager that takes so many messages, or answers with an errno. */
class Stage implements Disposable {
  readonly sent: string[] = [];
  readonly told: string[] = [];
  readonly log = new KeptLog();
  readonly loop = new EventLoop(kernel);
  room = Infinity;
  errno = 0;
  lost = "";
  readonly outbox: StoreOutbox;
  readonly #ends: [number, number];

  constructor(sys = kernel) {
    const ends = kernel.socketPair(SOCK_DGRAM);
    assert.ok(typeof ends !== "number");
    this.#ends = ends;
    const ledger = new DescriptorLedger(kernel);
    this.outbox = new StoreOutbox({
      // Always writable: each turn of the loop tries again.
      socket: { fd: ends[0], send: (lines) => this.#send(lines) },
      loop: this.loop,
      sys,
      log: this.log,
      tripwires: new Tripwires({ sys, loop: this.loop, ledger }, () => {}),
      sent: (name, reason) => this.told.push(`${name}: ${reason ?? "sent"}`),
      isLost: (queue) => queue === this.lost,
    });
  }

  submit(...messages: StoreMessage[]): boolean {
    return this.outbox.submit({ messages, done: () => void this.told.push("done") });
  }

  [Symbol.dispose](): void {
    this.loop.close();
    for (const fd of this.#ends) kernel.close(fd);
  }

  #send(lines: readonly string[]): "sent" | "full" | number {
    if (this.errno !== 0) return this.errno;
    if (this.room === 0) return "full";
    this.room--;
    this.sent.push(lines.join(" "));
    return "sent";
  }
}

function store(name: string): StoreMessage {
  return { kind: "store", name, fds: [0] };
}

Deno.test("StoreOutbox.submit() sends at once where there is room", () => {
  using stage = new Stage();
  assert.equal(stage.submit(store("a"), { kind: "text", lines: ["READY=1"] }), true);
  assert.deepEqual(stage.sent, ["FDSTORE=1 FDNAME=a FDPOLL=0", "READY=1"]);
  assert.deepEqual([stage.told, stage.outbox.length, [...stage.outbox.stores]], [["a: sent", "done"], 0, []]);
});

Deno.test("StoreOutbox keeps the order of what has to wait, and tells when all of a batch is sent", () => {
  using stage = new Stage();
  stage.room = 1;
  assert.equal(stage.submit(store("a"), store("b")), false);
  assert.equal(stage.submit({ kind: "remove", name: "a" }), false);
  assert.deepEqual([stage.told, stage.outbox.length], [["a: sent"], 2]);
  assert.deepEqual([[...stage.outbox.stores], stage.outbox.removals], [["b"], ["a"]]);
  stage.room = Infinity;
  stage.loop.turn(0);
  assert.deepEqual(stage.sent.slice(1), ["FDSTORE=1 FDNAME=b FDPOLL=0", "FDSTOREREMOVE=1 FDNAME=a"]);
  assert.deepEqual(stage.told, ["a: sent", "b: sent", "done", "done"]);
});

Deno.test("StoreOutbox.cancel() leaves out what is not sent yet, but not what is asked for under its name later", () => {
  using stage = new Stage();
  stage.room = 0;
  stage.submit(store("a"));
  assert.deepEqual([stage.outbox.cancel("a"), stage.outbox.cancel("a")], [true, false]);
  stage.submit(store("a"), store("b"));
  assert.equal(stage.outbox.cancel("b"), true);
  stage.room = Infinity;
  stage.loop.turn(0);
  assert.deepEqual([stage.sent, stage.told], [
    ["FDSTORE=1 FDNAME=a FDPOLL=0"],
    ["done", "a: sent", "done"],
  ]);
});

Deno.test("StoreOutbox tells why something could not be sent, and goes on", () => {
  using stage = new Stage();
  stage.errno = ECONNREFUSED;
  assert.equal(
    stage.submit(store("a"), { kind: "tripwire", name: "tripwire-0" }, { kind: "remove", name: "b" }, {
      kind: "text",
      lines: ["READY=1"],
    }),
    true,
  );
  assert.deepEqual(stage.told, ["a: Connection refused", "tripwire-0: Connection refused", "done"]);
  assert.deepEqual(stage.log.lines, [
    "error: Could not take b out of the store: Connection refused",
    "warning: Could not tell the service manager: Connection refused",
  ]);
});

Deno.test("StoreOutbox does not remove a queue of which something moved to one that could not be stored", () => {
  using stage = new Stage();
  stage.lost = "queue-7-1";
  stage.submit({ kind: "remove", name: "queue-7-0", moved: ["queue-7-1"] });
  assert.deepEqual([stage.sent, stage.log.lines], [[], [
    "warning: queue-7-0 stays in the store: what is in it could not be stored anew",
  ]]);
});

Deno.test("StoreOutbox tells a barrier when the manager has closed the pipe, or why there is none", () => {
  using stage = new Stage();
  const reasons: (string | undefined)[] = [];
  const barrier: StoreMessage = { kind: "barrier", done: (reason) => void reasons.push(reason) };
  stage.submit(barrier);
  assert.deepEqual([stage.sent, reasons], [["BARRIER=1"], []]);
  // Nobody received the copy that was sent, so the pipe hangs up.
  stage.loop.turn(1000);
  assert.deepEqual(reasons, [undefined]);
  stage.errno = ECONNREFUSED;
  stage.submit(barrier);
  using poor = new Stage({ ...kernel, pipe: () => -EMFILE });
  poor.submit(barrier);
  assert.deepEqual(reasons.slice(1), [
    "the service manager cannot be reached: Connection refused",
    "no pipe for a barrier: Too many open files",
  ]);
});
