import assert from "node:assert/strict";
import { invariant, InvariantError } from "../../../src/base/invariant.ts";

Deno.test("invariant() lets what is so pass", () => {
  invariant(true, "never said");
});

Deno.test("invariant() throws an InvariantError with its text when it is not so", () => {
  assert.throws(
    () => invariant(false, "The reply has number 3, 4 was recorded"),
    (error) => error instanceof InvariantError && error.message === "The reply has number 3, 4 was recorded",
  );
});
