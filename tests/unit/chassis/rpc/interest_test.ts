import assert from "node:assert/strict";
import { Interest } from "../../../../src/chassis/rpc/interest.ts";
import { EPOLLIN, EPOLLOUT } from "../../../../src/os/constants.ts";

Deno.test("Interest tells the loop what has changed, and takes a descriptor out that waits for nothing", () => {
  const told: string[] = [];
  let heard: ((events: number) => void) | undefined;
  const loop = {
    add: (fd: number, events: number, handler: (events: number) => void) => {
      told.push(`add ${fd} ${events}`);
      heard = handler;
    },
    modify: (fd: number, events: number) => void told.push(`modify ${fd} ${events}`),
    remove: (fd: number) => void told.push(`remove ${fd}`),
  };
  const events: number[] = [];
  const interest = new Interest(loop, 9, (each) => events.push(each));
  interest.set(0);
  assert.deepEqual(told, []);
  interest.set(EPOLLIN);
  interest.set(EPOLLIN);
  interest.set(EPOLLIN | EPOLLOUT);
  interest.set(0);
  interest.set(0);
  interest.set(EPOLLOUT);
  assert.deepEqual(told, ["add 9 1", "modify 9 5", "remove 9", "add 9 4"]);
  heard?.(EPOLLOUT);
  assert.deepEqual(events, [4]);
});
