import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";

Deno.test("ConfigError says place, expectation and finding in one line", () => {
  const error = new ConfigError("virtlockd.conf:3", "an integer", '"x"');
  assert.equal(error.message, 'virtlockd.conf:3: expected an integer, got "x"');
  assert.equal(error.name, "ConfigError");
  assert.deepEqual([error.place, error.expected, error.got], ["virtlockd.conf:3", "an integer", '"x"']);
});
