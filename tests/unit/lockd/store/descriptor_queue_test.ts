import assert from "node:assert/strict";
import { DescriptorQueue, QUEUE_SIZE } from "../../../../src/lockd/store/descriptor_queue.ts";
import { readQueues } from "../../../../src/lockd/journal/read_queues.ts";
import { F_DUPFD_CLOEXEC, O_RDWR } from "../../../../src/os/constants.ts";
import { EAGAIN } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";

/** More descriptors are on their way between sockets of this user than the kernel allows. */
const ETOOMANYREFS = 109;
const ledger = () => new DescriptorLedger(kernel);

function opened(name: string, sys = kernel): DescriptorQueue {
  const queue = DescriptorQueue.open({ sys, ledger: ledger() }, name);
  assert.ok(queue instanceof DescriptorQueue);
  return queue;
}

/** Copies of a queue's ends, as the service manager hands them over. */
function returned({ name, ends }: DescriptorQueue): { name: string; fd: number }[] {
  return ends.map((end) => ({ name, fd: kernel.fcntl(end, F_DUPFD_CLOEXEC, 0) }));
}

function closeAll(descriptors: readonly { fd: number }[]): void {
  for (const { fd } of descriptors) kernel.close(fd);
}

Deno.test("DescriptorQueue keeps copies that readQueues() finds, and leaves them there", () => {
  const file = Deno.makeTempFileSync();
  const queue = opened("queue-1-0");
  const fd = kernel.open(file, O_RDWR, 0);
  const entries = new Map([["a", fd], ["b", 0]]);
  assert.equal(queue.put(entries), undefined);
  assert.equal(queue.put(new Map([["c", 1]])), undefined);
  kernel.close(fd);
  for (let time = 0; time < 2; time++) {
    const read = readQueues(kernel, [...returned(queue), { name: "journal", fd: 77 }]);
    assert.deepEqual(read.queues, [{ name: "queue-1-0", taken: 3, names: ["a", "b", "c"] }]);
    assert.deepEqual(read.damage, []);
    const [journal, ...others] = read.descriptors;
    assert.deepEqual(journal, { name: "journal", fd: 77 });
    assert.deepEqual(others.map(({ name }) => name), ["a", "b", "c"]);
    assert.equal(kernel.readlink(`/proc/self/fd/${others[0]?.fd}`), file);
    closeAll(others);
  }
  queue.close();
  Deno.removeSync(file);
});

Deno.test("readQueues() believes what was put last, in whatever order queues come back", () => {
  const file = Deno.makeTempFileSync();
  const fd = kernel.open(file, O_RDWR, 0);
  const earlier = opened("queue-9-12");
  const later = opened("queue-10-3");
  earlier.put(new Map([["a", 0]]));
  later.put(new Map([["a", 0]]));
  later.put(new Map([["a", fd]]));
  const read = readQueues(kernel, [...returned(later), ...returned(earlier)]);
  assert.deepEqual(read.descriptors.map(({ name }) => name), ["a"]);
  assert.deepEqual(read.queues, [
    { name: "queue-9-12", taken: 1, names: [] },
    { name: "queue-10-3", taken: 2, names: ["a"] },
  ]);
  assert.equal(kernel.readlink(`/proc/self/fd/${read.descriptors[0]?.fd}`), file);
  closeAll(read.descriptors);
  earlier.close();
  later.close();
  kernel.close(fd);
  Deno.removeSync(file);
});

Deno.test("readQueues() says when a queue cannot be read", () => {
  const queue = opened("queue-1-0");
  queue.put(new Map([["a", 0], ["b", 0]]));
  const shortened = {
    ...kernel,
    peekMessage: (fd: number, into: Uint8Array) => {
      const message = kernel.peekMessage(fd, into);
      if (typeof message === "number") return message;
      closeAll(message.descriptors.slice(1).map((descriptor) => ({ fd: descriptor })));
      return { ...message, descriptors: message.descriptors.slice(0, 1) };
    },
  };
  const read = readQueues(shortened, returned(queue));
  assert.deepEqual(read.damage, ["queue-1-0: 2 descriptors were put there, 1 came out"]);
  assert.deepEqual(read.queues, []);
  closeAll(read.descriptors);
  queue.close();
});

Deno.test("DescriptorQueue.put() takes 253 and says when there is no more room", () => {
  const queue = opened("queue-1-0");
  const entries = new Map(Array.from({ length: QUEUE_SIZE }, (_, index) => [`x${index}`, 0]));
  assert.equal(queue.put(entries), undefined);
  assert.deepEqual(queue.put(new Map([["y", 0]])), { kind: "full" });
  // What was dropped stays in it, so its room is not free.
  queue.drop("x0");
  assert.deepEqual([queue.untidy, queue.live.size], [true, 252]);
  assert.deepEqual(queue.put(new Map([["y", 0]])), { kind: "full" });
  queue.close();
  queue.close();
});

for (
  const [errno, answer] of [
    [EAGAIN, { kind: "full" }],
    [ETOOMANYREFS, { kind: "failed", errno: ETOOMANYREFS }],
  ] as const
) {
  Deno.test(`DescriptorQueue.put() answers ${answer.kind} when sendmsg fails with errno ${errno}`, () => {
    const queue = opened("queue-1-0", { ...kernel, sendMessage: () => -errno });
    assert.deepEqual(queue.put(new Map([["a", 0]])), answer);
    assert.equal(queue.live.size, 0);
    queue.close();
  });
}
