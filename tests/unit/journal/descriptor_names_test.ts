import assert from "node:assert/strict";
import { clientName, dyingName, lockName, parseName } from "../../../src/journal/descriptor_names.ts";

Deno.test("parseName() reads every name that is given", () => {
  assert.deepEqual(parseName("journal"), { kind: "journal" });
  assert.deepEqual(parseName(lockName(40_000)), { kind: "lock", id: 40_000 });
  assert.deepEqual(parseName(clientName("admin", 3)), { kind: "client", server: "admin", id: 3 });
  assert.deepEqual(parseName(dyingName(4242)), { kind: "dying", pid: 4242 });
});

for (
  const name of [
    "",
    "stored",
    "lock-",
    "lock-x",
    "lock-virtlockd-1",
    "client-7",
    "lock-1 ",
    "virtlockd.socket",
  ]
) {
  Deno.test(`parseName() takes '${name}' for none of ours`, () => {
    assert.equal(parseName(name), undefined);
  });
}
