import assert from "node:assert/strict";
import { bootId, hostName } from "../../../src/os/host_facts.ts";
import { EACCES } from "../../../src/os/errno.ts";
import { kernel } from "../../support/kernel.ts";

Deno.test("the boot's id and the host's name are what the kernel tells", () => {
  assert.match(bootId(kernel), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(hostName(kernel), Deno.hostname());
});

Deno.test("what cannot be read is empty", () => {
  const failing = { ...kernel, open: () => -EACCES };
  assert.deepEqual([bootId(failing), hostName(failing)], ["", ""]);
});
