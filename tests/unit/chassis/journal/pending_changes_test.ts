import assert from "node:assert/strict";
import { PendingChanges } from "../../../../src/chassis/journal/pending_changes.ts";

Deno.test("PendingChanges.take() gives everything in order, and leaves nothing", () => {
  const pending = new PendingChanges<string>();
  assert.equal(pending.any, false);
  const freed = () => {};
  pending.want({ name: "lock-1", fd: 5, queued: true });
  pending.add("grant 1");
  pending.arrive(4);
  pending.remove({ name: "lock-0", freed });
  pending.add("release 0");
  assert.equal(pending.any, true);
  assert.deepEqual(pending.take(), {
    operations: ["grant 1", "release 0"],
    wanted: [{ name: "lock-1", fd: 5, queued: true }],
    removed: [{ name: "lock-0", freed }],
    arriving: [4],
  });
  assert.equal(pending.any, false);
  assert.deepEqual(pending.take(), { operations: [], wanted: [], removed: [], arriving: [] });
});

Deno.test("PendingChanges.any counts operations: without one there is nothing to be recorded", () => {
  const pending = new PendingChanges<string>();
  pending.want({ name: "lock-1", fd: 5 });
  pending.remove({ name: "lock-0", freed: () => {} });
  assert.equal(pending.any, false);
});

Deno.test("PendingChanges.withdraw() takes back what is wanted and not taken yet", () => {
  const pending = new PendingChanges<string>();
  pending.want({ name: "lock-1", fd: 5 });
  pending.want({ name: "lock-2", fd: 6 });
  assert.deepEqual(["lock-1", "lock-1", "lock-3"].map((name) => pending.withdraw(name)), [
    true,
    false,
    false,
  ]);
  assert.deepEqual(pending.take().wanted, [{ name: "lock-2", fd: 6 }]);
  assert.equal(pending.withdraw("lock-2"), false);
});

Deno.test("PendingChanges.take() is not changed by what happens afterwards", () => {
  const pending = new PendingChanges<string>();
  pending.add("one");
  const taken = pending.take();
  pending.add("two");
  assert.deepEqual(taken.operations, ["one"]);
});
