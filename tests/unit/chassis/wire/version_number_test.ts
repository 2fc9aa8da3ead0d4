import assert from "node:assert/strict";
import { versionNumber } from "../../../../src/chassis/wire/version_number.ts";

Deno.test("versionNumber() counts as libvirt does, and leaves a suffix out", () => {
  assert.equal(versionNumber("11.3.2"), 11_003_002);
  assert.equal(versionNumber("1.0.0-rc1"), 1_000_000);
  assert.equal(versionNumber("2"), 2_000_000);
});
