import assert from "node:assert/strict";
import { joined } from "../../../src/base/joined.ts";

Deno.test("joined() puts pieces together, and copies nothing of a single one", () => {
  const one = Uint8Array.of(1, 2);
  assert.equal(joined([one]), one);
  assert.deepEqual(joined([one, Uint8Array.of(), Uint8Array.of(3)]), Uint8Array.of(1, 2, 3));
  assert.deepEqual(joined([]), Uint8Array.of());
});
