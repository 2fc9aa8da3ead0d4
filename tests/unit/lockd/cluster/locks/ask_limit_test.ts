import assert from "node:assert/strict";
import { AskLimit } from "../../../../../src/lockd/cluster/locks/ask_limit.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

function stage(milliseconds: number) {
  const time = new PlayedTime();
  const told: number[] = [];
  const limit = new AskLimit({ loop: time.loop(), clock: () => time.now }, milliseconds);
  /** Lets so many milliseconds pass. */
  const pass = (milliseconds: number) => {
    let passed = false;
    time.after(milliseconds, () => void (passed = true));
    while (!passed) time.advance();
  };
  return { time, told, limit, pass, watch: () => limit.whenOver(() => void told.push(time.now)) };
}

Deno.test("who asks is told once, when his time is over, and it is over for good", () => {
  const { told, limit, pass, watch } = stage(1000);
  watch();
  pass(999);
  assert.deepEqual([told, limit.left, limit.until, limit.over], [[], 1, 1000, false]);
  pass(1);
  assert.deepEqual([told, limit.left, limit.over], [[1000], 0, true]);
  limit.run(5000);
  pass(6000);
  assert.deepEqual([told, limit.left, limit.over, limit.until], [[1000], 0, true, 7000]);
});

Deno.test("who has an answer is not told, and time that passes before somebody waits counts", () => {
  const { told, pass, watch } = stage(1000);
  pass(400);
  const forget = watch();
  pass(500);
  forget();
  pass(5000);
  assert.deepEqual(told, []);
  watch();
  pass(1);
  assert.deepEqual(told, [5900]);
});

Deno.test("a limit that stands still has as much left when it runs on, or what it is given", () => {
  const { told, limit, pass, watch } = stage(1000);
  watch();
  pass(300);
  limit.stop();
  pass(5000);
  assert.deepEqual([limit.left, told], [700, []]);
  limit.run();
  pass(100);
  assert.equal(limit.left, 600);
  limit.run(700);
  pass(699);
  assert.deepEqual(told, []);
  pass(1);
  assert.deepEqual(told, [6100]);
});
