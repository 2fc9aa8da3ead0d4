import assert from "node:assert/strict";
import { networkLocks } from "../../../../../src/lockd/cli/checks/network_locks.ts";
import { diskXml, domainXml, found } from "./check_fixture.ts";

const mount = (options: string) => ({
  "/proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
    `30 22 0:40 / /srv rw,relatime - nfs server:/export rw,vers=3,${options}\n`,
});
const GUESTS = {
  "/etc/libvirt/qemu/a.xml": domainXml("a", [diskXml("file='/srv/a'"), diskXml("file='/img/b'")]),
  "/etc/libvirt/qemu-lockd.conf": 'file_lockspace_dir = "/srv/locks"\n',
};

Deno.test("networkLocks finds a mount whose locks stay on this host", async () => {
  assert.deepEqual(await found(networkLocks, { ...GUESTS, ...mount("nolock,local_lock=all") }), [
    "problem: server:/export is mounted at /srv with nolock or local_lock: " +
    "no other host sees the locks on /srv/locks and 1 more",
  ]);
});

Deno.test("networkLocks is content when locks reach the server", async () => {
  assert.deepEqual(await found(networkLocks, { ...GUESTS, ...mount("local_lock=none") }), [
    "ok: Locks on /srv reach server:/export: /srv/locks and 1 more",
  ]);
});

Deno.test("networkLocks has nothing to say of a mount that holds no lock", async () => {
  assert.deepEqual(await found(networkLocks, mount("nolock")), []);
});
