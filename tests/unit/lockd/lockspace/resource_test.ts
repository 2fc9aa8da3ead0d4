import assert from "node:assert/strict";
import { resourceFlags } from "../../../../src/lockd/lockspace/resource.ts";

Deno.test("resourceFlags() are those of the restart state", () => {
  assert.equal(resourceFlags({ shared: false, autocreate: false }), 0);
  assert.equal(resourceFlags({ shared: true, autocreate: false }), 1);
  assert.equal(resourceFlags({ shared: false, autocreate: true }), 2);
  assert.equal(resourceFlags({ shared: true, autocreate: true }), 3);
});
