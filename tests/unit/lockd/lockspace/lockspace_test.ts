import assert from "node:assert/strict";
import { Lockspace } from "../../../../src/lockd/lockspace/lockspace.ts";

Deno.test("Lockspace fileOf() is the name itself in the default lockspace, else a file of the directory", () => {
  assert.equal(new Lockspace("").fileOf("/images/a.img"), "/images/a.img");
  assert.equal(new Lockspace("/leases").fileOf("a"), "/leases/a");
});

Deno.test("Lockspace badName() allows every path in the default lockspace", () => {
  const lockspace = new Lockspace("");
  for (const name of ["/images/a.img", "../a", "", "/a/../b"]) {
    assert.equal(lockspace.badName(name), undefined, name);
  }
  assert.equal(lockspace.badName("a\0"), "it contains a NUL byte");
});

Deno.test("Lockspace badName() refuses what leaves its directory", () => {
  const lockspace = new Lockspace("/leases");
  for (const name of ["a", "a/b", "..a", "a..", "...", ".", ""]) {
    assert.equal(lockspace.badName(name), undefined, name);
  }
  for (const name of ["..", "../a", "a/..", "a/../b", "./..", "a//..//b"]) {
    assert.equal(lockspace.badName(name), "it climbs out of lockspace /leases", name);
  }
  assert.equal(lockspace.badName("/a"), "it is absolute, in lockspace /leases");
  assert.equal(lockspace.badName("\0"), "it contains a NUL byte");
});
