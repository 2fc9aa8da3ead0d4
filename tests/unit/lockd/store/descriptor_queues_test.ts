import assert from "node:assert/strict";
import { DescriptorQueues } from "../../../../src/lockd/store/descriptor_queues.ts";
import { EMFILE } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";

/** More descriptors are on their way between sockets of this user than the kernel allows. */
const ETOOMANYREFS = 109;
const always = () => true;

/** Queues that are closed at the end. */
class Stage implements Disposable {
  readonly ledger = new DescriptorLedger(kernel);
  readonly queues: DescriptorQueues;

  constructor(sys = kernel) {
    this.queues = new DescriptorQueues({ sys, ledger: this.ledger }, 7);
  }

  put(...names: string[]): (string | undefined)[] {
    return names.map((name) => {
      const put = this.queues.put(new Map([[name, 0]]), always);
      assert.equal(put.kind, "put");
      return put.kind === "put" ? put.opened?.name : undefined;
    });
  }

  [Symbol.dispose](): void {
    for (const queue of this.queues.clear()) queue.close();
    assert.equal(this.ledger.size, 0);
  }
}

Deno.test("DescriptorQueues.put() opens a queue for the first descriptor, and for the 254th", () => {
  using stage = new Stage();
  const names = Array.from({ length: 254 }, (_, index) => `n${index}`);
  const opened = stage.put(...names).flatMap((name, index) => name === undefined ? [] : [[index, name]]);
  assert.deepEqual(opened, [[0, "queue-7-0"], [253, "queue-7-1"]]);
  assert.deepEqual([stage.queues.size, stage.queues.handover.length], [254, 2]);
});

Deno.test("DescriptorQueues.tidy() gives up a queue with nothing left, without opening another", () => {
  using stage = new Stage();
  stage.put("a", "b");
  assert.equal(stage.queues.drop("a"), true);
  assert.equal(stage.queues.drop("b"), true);
  assert.equal(stage.queues.drop("b"), false);
  const { opened, emptied, more } = stage.queues.tidy(always);
  assert.deepEqual([opened.length, emptied.map(({ name }) => name), more], [0, ["queue-7-0"], false]);
  for (const queue of emptied) queue.close();
  assert.deepEqual([stage.queues.size, stage.queues.handover.length], [0, 0]);
});

Deno.test("DescriptorQueues.tidy() moves what is left to a new queue", () => {
  using stage = new Stage();
  stage.put("a", "b", "c");
  stage.queues.drop("b");
  const { opened, emptied } = stage.queues.tidy(always);
  assert.deepEqual(opened.map(({ name, live }) => [name, [...live.keys()]]), [["queue-7-1", ["a", "c"]]]);
  assert.deepEqual(emptied.map(({ name }) => name), ["queue-7-0"]);
  for (const queue of emptied) queue.close();
  assert.deepEqual(["a", "b", "c"].map((name) => stage.queues.has(name)), [true, false, true]);
  // The new one is the current one.
  assert.deepEqual(stage.put("d"), [undefined]);
});

Deno.test("DescriptorQueues.tidy() looks through eight queues at once", () => {
  using stage = new Stage();
  for (let index = 0; index < 9 * 253; index++) stage.put(`n${index}`);
  for (let queue = 0; queue < 9; queue++) stage.queues.drop(`n${queue * 253}`);
  const first = stage.queues.tidy(always);
  assert.deepEqual([first.emptied.length, first.more], [8, true]);
  const second = stage.queues.tidy(always);
  assert.deepEqual([second.emptied.length, second.more], [1, false]);
  for (const queue of [...first.emptied, ...second.emptied]) queue.close();
  assert.equal(stage.queues.size, 9 * 252);
});

Deno.test("DescriptorQueues.tidy() leaves a queue as it is when its rest cannot move", () => {
  using stage = new Stage();
  stage.put("a", "b");
  stage.queues.drop("a");
  const { opened, emptied, more } = stage.queues.tidy(() => false);
  assert.deepEqual([opened.length, emptied.length, more], [0, 0, true]);
  assert.equal(stage.queues.has("b"), true);
});

Deno.test("DescriptorQueues.put() fails without room for a queue, without sockets, and with too many on their way", () => {
  using stage = new Stage();
  assert.deepEqual(stage.queues.put(new Map([["a", 0]]), () => false), { kind: "failed", errno: 0 });
  using poor = new Stage({ ...kernel, socketPair: () => -EMFILE });
  assert.deepEqual(poor.queues.put(new Map([["a", 0]]), always), { kind: "failed", errno: EMFILE });
  using crowded = new Stage({ ...kernel, sendMessage: () => -ETOOMANYREFS });
  assert.deepEqual(crowded.queues.put(new Map([["a", 0]]), always), { kind: "failed", errno: ETOOMANYREFS });
});

Deno.test("DescriptorQueues.lose() forgets a queue that nobody keeps, and says what was in it", () => {
  using stage = new Stage();
  stage.put("a", "b");
  assert.deepEqual(stage.queues.lose("queue-7-0"), ["a", "b"]);
  assert.deepEqual([stage.queues.has("a"), stage.queues.handover.length, stage.ledger.size], [false, 0, 0]);
  assert.deepEqual(stage.put("c"), ["queue-7-1"]);
});

Deno.test("DescriptorQueues goes on with queues of an earlier life, and tidies what in them nobody wants", () => {
  using stage = new Stage();
  stage.queues.adopt({ name: "queue-3-0", taken: 2, names: ["a", "b"] });
  stage.queues.adopt({ name: "queue-3-1", taken: 3, names: ["c", "d"] });
  assert.equal(stage.queues.know("a", 0), true);
  assert.equal(stage.queues.know("b", 0), true);
  assert.equal(stage.queues.know("d", 0), true);
  assert.equal(stage.queues.know("e", 0), false);
  assert.equal(stage.queues.forgetUnknown(), true);
  assert.deepEqual(["a", "c", "d"].map((name) => stage.queues.has(name)), [true, false, true]);
  const { opened, emptied } = stage.queues.tidy(always);
  assert.deepEqual(opened.map(({ live }) => [...live.keys()]), [["d"]]);
  assert.deepEqual(emptied.map(({ name }) => name), ["queue-3-1"]);
  assert.deepEqual(stage.queues.handover.map(({ name, taken, names }) => [name, taken, names]), [
    ["queue-3-0", 2, ["a", "b"]],
    ["queue-7-0", 1, ["d"]],
  ]);
  // It takes nothing more, but gives up what is dropped.
  assert.deepEqual(stage.put("f"), [undefined]);
  stage.queues.drop("a");
  stage.queues.drop("b");
  assert.deepEqual(stage.queues.tidy(always).emptied.map(({ name }) => name), ["queue-3-0"]);
});
