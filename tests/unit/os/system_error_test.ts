import assert from "node:assert/strict";
import { errnoName, strerror } from "../../../src/os/errno.ts";
import { must, SystemError } from "../../../src/os/system_error.ts";

Deno.test("SystemError names call, subject and reason", () => {
  for (const errno of [2, -2]) {
    const error = new SystemError("open", "/x", errno);
    assert.equal(error.message, "open /x: No such file or directory (ENOENT)");
    assert.deepEqual([error.call, error.subject, error.errno], ["open", "/x", 2]);
    assert.equal(error.reason, "No such file or directory");
  }
});

Deno.test("must() passes a result through and throws for a failure", () => {
  assert.equal(must(0, "open", "/x"), 0);
  assert.equal(must(7, "open", "/x"), 7);
  assert.throws(() => must(-13, "open", "/x"), /^SystemError: open \/x: Permission denied \(EACCES\)$/);
});

Deno.test("strerror() and errnoName() speak as glibc does, also of numbers that do not exist", () => {
  assert.deepEqual([strerror(11), errnoName(11)], ["Resource temporarily unavailable", "EAGAIN"]);
  assert.deepEqual([strerror(37), errnoName(37)], ["No locks available", "ENOLCK"]);
  assert.deepEqual([strerror(116), errnoName(116)], ["Stale file handle", "ESTALE"]);
  assert.equal(strerror(4711), "Unknown error 4711");
});
