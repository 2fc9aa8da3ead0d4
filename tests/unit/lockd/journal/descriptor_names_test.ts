import assert from "node:assert/strict";
import { parseSlot, slotName } from "../../../../src/lockd/journal/descriptor_names.ts";

Deno.test("slotName() is short: the first 256 of each kind have at most two characters", () => {
  assert.equal(slotName({ kind: "lock", index: 0 }), "A");
  assert.equal(slotName({ kind: "dying holder", index: 15 }), "_");
  assert.equal(slotName({ kind: "lock", index: 16 }), "BA");
  assert.equal(slotName({ kind: "lock client", index: 255 }), "P9");
  assert.equal(slotName({ kind: "lock", index: 40_000 }), "nEA");
});

Deno.test("parseSlot() reads every name that slotName() gives", () => {
  for (const kind of ["lock", "lock client", "admin client", "dying holder"] as const) {
    for (const index of [0, 1, 63, 64, 4095, 70_000]) {
      assert.deepEqual(parseSlot(slotName({ kind, index })), { kind, index });
    }
  }
});

Deno.test("slotName() never gives a name that means something else", () => {
  assert.equal(parseSlot("journal"), undefined);
  assert.equal(parseSlot("stored"), undefined);
});

for (const name of ["", "virtlockd.socket", "AA", "AB", "a b", "é", "lock-1"]) {
  Deno.test(`parseSlot() takes '${name}' for none of ours`, () => {
    assert.equal(parseSlot(name), undefined);
  });
}
