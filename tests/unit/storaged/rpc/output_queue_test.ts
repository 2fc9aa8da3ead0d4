import assert from "node:assert/strict";
import { OutputQueue } from "../../../../src/storaged/rpc/output_queue.ts";

/** A socket that takes so many bytes at each call; negative: -errno. */
function socket(answers: number[]): { sent: number[]; send: (fd: number, bytes: Uint8Array) => number } {
  const sent: number[] = [];
  return {
    sent,
    send(_fd, bytes) {
      const answer = answers.shift() ?? bytes.length;
      const taken = Math.min(answer, bytes.length);
      if (taken > 0) sent.push(...bytes.subarray(0, taken));
      return taken;
    },
  };
}

Deno.test("what the kernel takes at once does not wait", () => {
  const sys = socket([]);
  const queue = new OutputQueue(sys, 3);
  assert.deepEqual(queue.push(new Uint8Array([1, 2]), false), { kind: "all" });
  assert.equal(queue.length, 0);
  assert.deepEqual(sys.sent, [1, 2]);
});

Deno.test("what it does not take waits, in order, and bytes that change are copied", () => {
  const sys = socket([1, 2, -11, 100, 100]);
  const queue = new OutputQueue(sys, 3);
  const bytes = new Uint8Array([1, 2, 3, 4]);
  assert.deepEqual(queue.push(bytes, false), { kind: "waits" });
  bytes.fill(9);
  assert.deepEqual(queue.push(new Uint8Array([5]), true), { kind: "waits" });
  assert.equal(queue.length, 4);
  assert.deepEqual(queue.flush(), { kind: "waits" });
  assert.deepEqual(queue.flush(), { kind: "waits" });
  assert.equal(queue.length, 2);
  assert.deepEqual(queue.flush(), { kind: "all" });
  assert.deepEqual(sys.sent, [1, 2, 3, 4, 5]);
});

Deno.test("a connection that is gone is told", () => {
  const queue = new OutputQueue(socket([-32]), 3);
  assert.deepEqual(queue.push(new Uint8Array([1]), true), { kind: "failed", errno: 32 });
});
