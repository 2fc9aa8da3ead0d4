import assert from "node:assert/strict";
import { Glob } from "../../../../src/chassis/log/glob.ts";

const MATCHES: ReadonlyArray<readonly [pattern: string, text: string]> = [
  ["", ""],
  ["*", ""],
  ["*", "locking.lock_daemon"],
  ["***", "x"],
  ["*lock*", "rpc.block"],
  ["rpc.*", "rpc.server"],
  ["rpc.?", "rpc.x"],
  ["*a*b*c*", "xxaxxbxxcxx"],
  ["[rl]pc", "rpc"],
  ["[a-z]*", "rpc"],
  ["[!a-z]pc", "Rpc"],
  ["[^a-z]pc", "Rpc"],
  ["[]]x", "]x"],
  ["[a-]", "-"],
  ["[a", "[a"],
  ["\\*", "*"],
  ["a\\", "a\\"],
  ["[\\]]", "]"],
];

const MISMATCHES: ReadonlyArray<readonly [pattern: string, text: string]> = [
  ["", "x"],
  ["?", ""],
  ["rpc", "rpc.server"],
  ["*lock", "locking"],
  ["*a*b*c*", "xxcxxbxxaxx"],
  ["[rl]pc", "xpc"],
  ["[!a-z]pc", "rpc"],
  ["\\*", "x"],
  ["[a", "a"],
];

Deno.test("Glob matches() covers the whole text as fnmatch(3) does", () => {
  for (const [pattern, text] of MATCHES) {
    assert.equal(new Glob(pattern).matches(text), true, `${pattern} ${text}`);
  }
  for (const [pattern, text] of MISMATCHES) {
    assert.equal(new Glob(pattern).matches(text), false, `${pattern} ${text}`);
  }
});

Deno.test("Glob matches() stays fast when many stars meet a text that nearly matches", () => {
  // A backtracking matcher needs more than 10^20 steps here and never ends.
  assert.equal(new Glob("*a".repeat(40) + "*b").matches("a".repeat(2000)), false);
});
