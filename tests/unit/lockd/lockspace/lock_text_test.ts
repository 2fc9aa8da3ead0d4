import assert from "node:assert/strict";
import { lockText } from "../../../../src/lockd/lockspace/lock_text.ts";

Deno.test("lockText() names every owner once", () => {
  const uuid = "6ba7b810-9dad-41d1-80b4-000000000001";
  const owner = { pid: 7, name: "alpha", uuid, id: 1 };
  const holdings = [{ owner }, { owner: { ...owner } }, { owner: { ...owner, pid: 8, name: "" } }];
  assert.equal(
    lockText({ name: "/disk", holdings }),
    `The lock on '/disk' of domain 'alpha' (uuid ${uuid}, pid 7), the guest of process 8`,
  );
});
