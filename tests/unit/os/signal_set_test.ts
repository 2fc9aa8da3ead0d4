import assert from "node:assert/strict";
import { inSignalSet, signalSet } from "../../../src/os/signal_set.ts";

Deno.test("signalSet() has the bits of its signals", () => {
  const set = signalSet([1, 10, 64]);
  assert.equal(set.length, 128);
  assert.equal(set.subarray(0, 8).toHex(), "0102000000000080");
  const members = Array.from({ length: 64 }, (_, index) => index + 1).filter((signal) =>
    inSignalSet(set, signal)
  );
  assert.deepEqual(members, [1, 10, 64]);
});
