import assert from "node:assert/strict";
import { storeLimit, wantsStore } from "../../../../src/lockd/crash/store_limit.ts";

Deno.test("storeLimit() is what systemd says, else what the unit says, else none", () => {
  assert.equal(storeLimit({ FDSTORE: "100", VIRTLOCKD_FDSTORE_MAX: "65536" }, undefined), 100);
  assert.equal(storeLimit({ VIRTLOCKD_FDSTORE_MAX: "65536" }, undefined), 65_536);
  assert.equal(storeLimit({}, undefined), 0);
  assert.deepEqual(["0", "", "many", "1.5"].map((FDSTORE) => storeLimit({ FDSTORE }, undefined)), [
    0,
    0,
    0,
    0,
  ]);
});

Deno.test("storeLimit() is what our unit asks for while systemd does not answer", () => {
  assert.equal(storeLimit({}, "it did not end within 1 s"), 65_536);
  assert.equal(storeLimit({ FDSTORE: "100" }, "it did not end within 1 s"), 100);
});

Deno.test("wantsStore() is so where there is a store, where the unit asks for one, and where nobody knows", () => {
  assert.equal(wantsStore({ FDSTORE: "100" }, undefined), true);
  // Somebody has taken the store away from a unit that asks for one.
  assert.equal(wantsStore({ FDSTORE: "0", VIRTLOCKD_FDSTORE_MAX: "65536" }, undefined), true);
  assert.equal(wantsStore({ FDSTORE: "0" }, undefined), false);
  assert.equal(wantsStore({}, undefined), false);
  assert.equal(wantsStore({}, "systemd does not answer"), true);
});
