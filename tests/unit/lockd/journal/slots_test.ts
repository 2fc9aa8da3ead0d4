import assert from "node:assert/strict";
import { Slots } from "../../../../src/lockd/journal/slots.ts";

Deno.test("Slots.take() gives the next number, and the same one to the same id", () => {
  const slots = new Slots();
  assert.deepEqual([slots.take(70), slots.take(71), slots.take(70)], [0, 1, 0]);
});

Deno.test("Slots.take() uses a number again once it is freed, not when its id is forgotten", () => {
  const slots = new Slots();
  slots.take(70);
  assert.equal(slots.forget(70), 0);
  assert.equal(slots.take(71), 1);
  slots.free(0);
  assert.equal(slots.take(72), 0);
});

Deno.test("Slots.forget() of an unknown id is undefined", () => {
  assert.equal(new Slots().forget(1), undefined);
});

Deno.test("Slots.restore() takes numbers in any order and leaves those between free", () => {
  const slots = new Slots();
  slots.restore(70, 3);
  slots.restore(71, 1);
  assert.deepEqual([slots.get(70), slots.get(71)], [3, 1]);
  assert.deepEqual([slots.take(1), slots.take(2), slots.take(3)].toSorted(), [0, 2, 4]);
});
