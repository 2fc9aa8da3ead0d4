import assert from "node:assert/strict";
import {
  categoryLevel,
  formatFilters,
  parseFilters,
  unparseFilters,
} from "../../../../src/chassis/log/filters.ts";
import { LogConfigError } from "../../../../src/chassis/log/log_config_error.ts";

// Left: given to the admin program of libvirt 9.0.0. Right: what it then reports.
const VALID: ReadonlyArray<readonly [string, string]> = [
  ["", ""],
  ["   ", ""],
  ["2:a 3:b", "2:*a* 3:*b* "],
  ["  2:a   3:b ", "2:*a* 3:*b* "],
  ["1:a 2:a", "1:*a* 2:*a* "],
  ["+1:a", "1:*a* "],
  ["1:+a", "1:*a* "],
  ["1:++a", "1:*+a* "],
  ["01:a", "1:*a* "],
  ["\t1:a", "1:*a* "],
  ["1:a:b", "1:*a* "],
  ["1:a\t2:b", "1:*a\t2* "],
  ["1:*", "1:*** "],
  ["1:*lock*", "1:**lock** "],
  ["1:[a", "1:*[a* "],
];

// The messages of libvirt 9.0.0, without `invalid argument: `.
const INVALID: ReadonlyArray<readonly [string, string]> = [
  ["9:x", "Invalid priority '9' for filter '9:x'"],
  ["0:a", "Invalid priority '0' for filter '0:a'"],
  ["-1:a", "Invalid priority '-1' for filter '-1:a'"],
  ["1abc:a", "Invalid priority '1abc' for filter '1abc:a'"],
  [":x", "Invalid priority '' for filter ':x'"],
  ["x", "Malformed format for filter 'x'"],
  ["1:a bogus", "Malformed format for filter 'bogus'"],
  ["1 :a", "Malformed format for filter '1'"],
  ["1:", "Invalid match string ''"],
  ["1::x", "Invalid match string ''"],
  ["1:+", "Invalid match string '+'"],
];

Deno.test("parseFilters() and formatFilters() turn a list into what libvirt reports", () => {
  for (const [text, reported] of VALID) assert.equal(formatFilters(parseFilters(text)), reported, text);
});

Deno.test("unparseFilters() gives a list that parseFilters() reads as the same", () => {
  for (const text of ["", "1:a", "2:*lock* 4:rpc", "1:++x"]) {
    assert.equal(unparseFilters(parseFilters(text)), text);
  }
  assert.equal(unparseFilters(parseFilters(" 1:+a   3:b:c ")), "1:a 3:b");
});

Deno.test("parseFilters() refuses a wrong filter in libvirt's words", () => {
  for (const [text, message] of INVALID) {
    assert.throws(() => parseFilters(text), (error) => {
      assert.ok(error instanceof LogConfigError);
      assert.equal(error.message, message);
      return true;
    });
  }
});

Deno.test("categoryLevel() takes the first filter that matches a part of the category", () => {
  const filters = parseFilters("4:rpc 1:lock 2:rpc.server 3:d?m[a-z]");
  assert.equal(categoryLevel(filters, "rpc.server", 3), 4);
  assert.equal(categoryLevel(filters, "locking.lock_daemon", 3), 1);
  assert.equal(categoryLevel(filters, "util.domx", 2), 3);
  assert.equal(categoryLevel(filters, "util.dom", 2), 2);
});
