import assert from "node:assert/strict";
import { backendOf, backendTypes, hasBackend } from "../../../../src/storaged/backends/backends.ts";

Deno.test("dir, fs and netfs are served, in libvirt's order", () => {
  assert.deepEqual(backendTypes(), ["dir", "fs", "netfs"]);
  assert.equal(hasBackend("logical"), false);
});

Deno.test("backendOf() says honestly what is not there, with libvirt's number of the type", () => {
  const cases: [string, number][] = [
    ["logical", 3],
    ["disk", 4],
    ["iscsi", 5],
    ["iscsi-direct", 6],
    ["scsi", 7],
    ["mpath", 8],
    ["rbd", 9],
    ["sheepdog", 10],
    ["gluster", 11],
    ["zfs", 12],
    ["vstorage", 13],
  ];
  for (const [type, number] of cases) {
    const message = `internal error: missing backend for pool type ${number} (${type})`;
    assert.throws(() => backendOf(type), { code: 1, domain: 18, message });
  }
});
