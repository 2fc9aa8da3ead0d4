import assert from "node:assert/strict";
import { StoredQueues } from "../../../../src/lockd/store/stored_queues.ts";
import type { StoreMessage } from "../../../../src/lockd/store/store_outbox.ts";
import { EMFILE } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";

/** Queues of the store of life 7. */
class Stage implements Disposable {
  readonly told: string[] = [];
  readonly timers: { readonly milliseconds: number; readonly task: () => void }[] = [];
  room = true;
  readonly ledger = new DescriptorLedger(kernel);
  readonly queues: StoredQueues;

  constructor(socketPair = kernel.socketPair) {
    this.queues = new StoredQueues({
      sys: { socketPair, sendMessage: kernel.sendMessage },
      ledger: this.ledger,
      life: 7,
      loop: {
        after: (milliseconds, task) => {
          this.timers.push({ milliseconds, task });
          return { due: 0, cancel: () => {} };
        },
      },
      hasRoom: () => this.room,
      keep: (name, fds) => ({ kind: "store", name, fds }),
      forget: (name) => void this.told.push(`forget ${name}`),
      submit: (messages) => this.told.push(...messages.map(shown)),
    });
  }

  /** Puts standard input in, under some names. */
  put(...names: string[]): { names: readonly string[]; messages: string[] } {
    const put = this.queues.put(names.map((name) => ({ name, fd: 0, queued: true })));
    return { names: put.names, messages: put.messages.map(shown) };
  }

  [Symbol.dispose](): void {
    for (const queue of this.queues.clear()) queue.close();
  }
}

function shown(message: StoreMessage): string {
  switch (message.kind) {
    case "store":
      return `store ${message.name} (${message.fds.length})`;
    case "remove":
      message.queue?.close();
      return `remove ${message.name}, moved to ${message.moved?.join()}`;
    default:
      return message.kind;
  }
}

Deno.test("StoredQueues.put() opens a queue for the first ones, and puts others behind them", () => {
  using stage = new Stage();
  assert.deepEqual(stage.put("lock-0", "lock-1"), {
    names: ["lock-0", "lock-1"],
    messages: ["store queue-7-0 (2)"],
  });
  assert.deepEqual(stage.put("lock-1", "lock-2"), { names: ["lock-2"], messages: [] });
  assert.deepEqual([stage.queues.size, [...stage.queues.names]], [3, ["lock-0", "lock-1", "lock-2"]]);
});

Deno.test("StoredQueues.put() takes what may lie in a queue, 253 to each", () => {
  using stage = new Stage();
  const sockets = stage.queues.put([{ name: "client-1", fd: 0 }, { name: "client-2", fd: 0, queued: false }]);
  assert.deepEqual(sockets, { names: [], messages: [] });
  const many = Array.from({ length: 254 }, (_, index) => `lock-${index}`);
  assert.deepEqual(stage.put(...many).messages, ["store queue-7-0 (2)", "store queue-7-1 (2)"]);
});

Deno.test("StoredQueues.put() takes nothing where there is no room for a queue, or no descriptor", () => {
  using stage = new Stage();
  stage.room = false;
  assert.deepEqual(stage.put("lock-0"), { names: [], messages: [] });
  assert.equal(stage.queues.has("lock-0"), false);
  using poor = new Stage(() => -EMFILE);
  assert.deepEqual(poor.put("lock-0"), { names: [], messages: [] });
});

Deno.test("StoredQueues moves what is left of a queue to another one, and only then has the old one removed", () => {
  using stage = new Stage();
  stage.put("lock-0", "lock-1");
  assert.deepEqual([stage.queues.drop("lock-0"), stage.queues.drop("lock-0")], [true, false]);
  assert.deepEqual(stage.timers.map(({ milliseconds }) => milliseconds), [5]);
  assert.deepEqual(stage.told, []);
  stage.timers.shift()?.task();
  assert.deepEqual(stage.told, [
    "forget queue-7-0",
    "store queue-7-1 (2)",
    "remove queue-7-0, moved to queue-7-1",
  ]);
  assert.deepEqual([stage.queues.has("lock-1"), stage.timers], [true, []]);
});

Deno.test("StoredQueues leaves a queue as it is where there is no room to move, and tries again", () => {
  using stage = new Stage();
  stage.put("lock-0", "lock-1");
  stage.queues.drop("lock-0");
  stage.room = false;
  stage.timers.shift()?.task();
  assert.deepEqual([stage.told, stage.timers.length, stage.queues.has("lock-1")], [[], 1, true]);
});

Deno.test("StoredQueues goes on with what an earlier life has put in, and gives up what is not wanted of it", () => {
  using stage = new Stage();
  stage.queues.adopt({ name: "queue-3-0", taken: 2, names: ["lock-0", "lock-1"] });
  assert.deepEqual(stage.put("lock-0"), { names: [], messages: [] });
  assert.equal(stage.queues.has("lock-0"), true);
  stage.queues.adopted();
  stage.timers.shift()?.task();
  assert.deepEqual(stage.told, [
    "forget queue-3-0",
    "store queue-7-0 (2)",
    "remove queue-3-0, moved to queue-7-0",
  ]);
  assert.deepEqual([stage.queues.has("lock-0"), stage.queues.has("lock-1")], [true, false]);
});

Deno.test("StoredQueues.lose() tells what was in a queue that could not be stored", () => {
  using stage = new Stage();
  stage.put("lock-0", "lock-1");
  assert.equal(stage.queues.isLost("queue-7-0"), false);
  assert.deepEqual(stage.queues.lose("queue-7-0"), ["lock-0", "lock-1"]);
  assert.deepEqual(
    [stage.queues.isLost("queue-7-0"), stage.queues.size, stage.ledger.size],
    [true, 0, 0],
  );
});
