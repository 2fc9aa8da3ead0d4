import assert from "node:assert/strict";
import { Steps } from "../../../../src/storaged/volumes/step.ts";

Deno.test("steps grow while they are quick, stay while they are not, and shrink when they are slow", () => {
  let now = 0;
  const steps = new Steps({ monotonic: () => now }, { least: 4, most: 16 });
  const took: number[] = [];
  for (const ms of [10, 10, 10, 300, 3000, 3000, 3000, 10]) {
    steps.take((bytes) => {
      took.push(bytes);
      now += ms;
    });
  }
  assert.deepEqual(took, [4, 8, 16, 16, 16, 8, 4, 4]);
  assert.equal(steps.bytes, 8);
});
