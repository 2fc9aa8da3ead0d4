import assert from "node:assert/strict";
import { Polling } from "../../../../src/chassis/event/polling.ts";

/** Sleeps of 30 us until polling is on again. */
function sleepsUntilOn(polling: Polling): number {
  let count = 0;
  while (!polling.on) {
    polling.slept(0.03);
    count++;
  }
  return count;
}

Deno.test("Polling is off at first, and stays off while sleeps are long", () => {
  const polling = new Polling();
  for (let index = 0; index < 1000; index++) polling.slept(5);
  assert.equal(polling.on, false);
});

Deno.test("Polling is tried after a short sleep, and given up after four spells in vain", () => {
  const polling = new Polling();
  assert.equal(sleepsUntilOn(polling), 1);
  for (let spell = 0; spell < 3; spell++) polling.inVain();
  assert.equal(polling.on, true);
  polling.inVain();
  assert.equal(polling.on, false);
});

Deno.test("Polling is tried more seldom each time that it was in vain, at most after 64 short sleeps", () => {
  const polling = new Polling();
  const pauses: number[] = [];
  for (let trial = 0; trial < 9; trial++) {
    pauses.push(sleepsUntilOn(polling));
    for (let spell = 0; spell < 4; spell++) polling.inVain();
  }
  assert.deepEqual(pauses, [1, 1, 2, 4, 8, 16, 32, 64, 64]);
});

Deno.test("Polling stops at once when a poll took long, whatever it found, and is tried ever more seldom", () => {
  const polling = new Polling();
  const pauses: number[] = [];
  for (let trial = 0; trial < 14; trial++) {
    pauses.push(sleepsUntilOn(polling));
    polling.polled(true, 0.002);
    assert.equal(polling.on, true);
    polling.polled(trial % 2 === 0, 3);
    assert.equal(polling.on, false);
  }
  assert.deepEqual(pauses, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]);
  assert.equal(sleepsUntilOn(polling), 4096);
});

Deno.test("Polling comes back at once when the host has been quiet for 256 polls that paid", () => {
  const polling = new Polling();
  for (let trial = 0; trial < 6; trial++) {
    sleepsUntilOn(polling);
    polling.polled(false, 3);
  }
  assert.equal(sleepsUntilOn(polling), 32);
  for (let poll = 0; poll < 255; poll++) polling.polled(true, 0.002);
  polling.polled(false, 3);
  assert.equal(sleepsUntilOn(polling), 64);
  for (let poll = 0; poll < 256; poll++) polling.polled(true, 0.002);
  polling.polled(false, 3);
  assert.equal(sleepsUntilOn(polling), 1);
});
