import assert from "node:assert/strict";
import { KeptResource, lockFilePath, restoredResource } from "../../../../src/lockd/lockspace/resource.ts";
import { HELD } from "../../../../src/lockd/lockspace/lock_record.ts";
import { noHandle } from "../../../../src/lockd/lockspace/lock_handle.ts";

const parts = {
  id: 7,
  lockspace: "/locks",
  name: "web",
  shared: false,
  autocreate: true,
  holdings: [],
  handle: noHandle(-1),
  state: HELD,
  regrant: undefined,
};

Deno.test("the file of a name is in its lockspace's directory; in the default one it is the name", () => {
  assert.deepEqual([lockFilePath("/locks", "web"), lockFilePath("", "/disk")], ["/locks/web", "/disk"]);
});

Deno.test("KeptResource has the path that its lockspace and name make", () => {
  assert.equal(new KeptResource(parts).path, "/locks/web");
  assert.equal(new KeptResource({ ...parts, lockspace: "", name: "/disk" }).path, "/disk");
});

Deno.test("a resource of an earlier life keeps the path that somebody else has written down", () => {
  assert.equal(restoredResource(parts, "/locks//web").path, "/locks//web");
  assert.equal(restoredResource(parts, "/locks/web").path, "/locks/web");
  assert.equal(restoredResource({ ...parts, regrant: "parked" }, "/locks/web").regrant, "parked");
});
