import assert from "node:assert/strict";
import {
  isHeldBy,
  isOwnersProcess,
  type Owner,
  ownerKey,
  UNKNOWN_NAMESPACE,
  UNKNOWN_UUID,
} from "../../../../src/lockd/lockspace/owner.ts";

const UUID = "11111111-2222-3333-4444-555555555555";
const OWNER: Owner = { pid: 57, id: 1, name: "guest", uuid: UUID };

Deno.test("ownerKey() is the pid where it tells a process, else namespace, pid and, if need be, uuid", () => {
  assert.equal(ownerKey(OWNER), 57);
  assert.equal(ownerKey({ ...OWNER, namespace: "4026532500" }), "4026532500/57");
  assert.equal(ownerKey({ ...OWNER, pid: 0 }), `/0/${UUID}`);
  assert.equal(ownerKey({ ...OWNER, pid: 0, namespace: "4026532500" }), `4026532500/0/${UUID}`);
  assert.equal(ownerKey({ ...OWNER, namespace: UNKNOWN_NAMESPACE }), `?/57/${UUID}`);
});

Deno.test("isHeldBy() compares namespace, pid and uuid, and takes a uuid that is not known for any", () => {
  assert.ok(isHeldBy(OWNER, { ...OWNER, name: "renamed", id: 9 }));
  assert.ok(isHeldBy({ ...OWNER, uuid: UNKNOWN_UUID }, OWNER));
  assert.ok(!isHeldBy(OWNER, { ...OWNER, uuid: UNKNOWN_UUID }));
  assert.ok(!isHeldBy(OWNER, { ...OWNER, pid: 58 }));
  assert.ok(!isHeldBy(OWNER, { ...OWNER, namespace: "4026532500" }));
});

Deno.test("isOwnersProcess() goes by what the daemon calls the process", () => {
  assert.ok(isOwnersProcess(OWNER, 57));
  assert.ok(!isOwnersProcess(OWNER, 58));
  assert.ok(!isOwnersProcess({ ...OWNER, pid: 0 }, 0));
  assert.ok(!isOwnersProcess({ ...OWNER, namespace: "4026532500" }, 57));
  assert.ok(isOwnersProcess({ ...OWNER, namespace: "4026532500", hostPid: 30838 }, 30838));
});
