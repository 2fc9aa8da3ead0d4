import assert from "node:assert/strict";
import { StartPause } from "../../../../src/chassis/start/start_pause.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

/** A pause whose clock the test sets, in ms. */
function pauseAt(scratch: Scratch, now: () => number): StartPause {
  return new StartPause({ ...kernel, monotonic: now }, scratch.file("failures"));
}

Deno.test("StartPause grows with each failure, up to the longest", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const pause = pauseAt(scratch, () => 5000.5);
  const pauses = Array.from({ length: 6 }, () => pause.failed(1000));
  assert.deepEqual(pauses, [100, 200, 400, 800, 1000, 1000]);
  // With locks at stake it is never longer, however often it failed before.
  assert.equal(pause.failed(800), 800);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("StartPause begins anew after a success, and when the last failure is long ago", () => {
  using scratch = new Scratch();
  let now = 1000;
  const pause = pauseAt(scratch, () => now);
  assert.deepEqual([pause.failed(9999), pause.failed(9999)], [100, 200]);
  pause.succeeded();
  assert.deepEqual([pause.failed(9999), pause.failed(9999)], [100, 200]);
  now += 300_001;
  assert.equal(pause.failed(9999), 100);
  // A file that was left by another boot.
  now = 10;
  assert.equal(pause.failed(9999), 100);
});

Deno.test("StartPause takes the longest pause where failures cannot be counted, and any file for none", () => {
  using scratch = new Scratch();
  assert.equal(new StartPause(kernel, scratch.file("absent/failures")).failed(700), 700);
  scratch.write("failures", "nonsense");
  assert.equal(pauseAt(scratch, () => 1).failed(700), 100);
  Deno.symlinkSync(scratch.write("target"), scratch.file("link"));
  assert.equal(new StartPause(kernel, scratch.file("link")).failed(700), 700);
  assert.equal(Deno.readTextFileSync(scratch.file("target")), "");
});
