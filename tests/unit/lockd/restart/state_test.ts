import assert from "node:assert/strict";
import { readState } from "../../../../src/lockd/restart/read_state.ts";
import { descriptorsOf } from "../../../../src/lockd/restart/state.ts";
import { exampleBytes, fullState } from "./documents.ts";

Deno.test("descriptorsOf() names every descriptor that must stay open", () => {
  assert.deepEqual(descriptorsOf(fullState()), [6, 5, 30, 15, 7, 17, 13, 12, 14, 31, 35, 36, 32, 33, 34]);
});

Deno.test("descriptorsOf() does with libvirt's document, which has no pidfds", () => {
  const outcome = readState(exampleBytes());
  assert.equal(outcome.kind, "state");
  assert.deepEqual(outcome.kind === "state" && descriptorsOf(outcome.state), [
    6,
    5,
    15,
    7,
    17,
    13,
    12,
    14,
    16,
  ]);
});
