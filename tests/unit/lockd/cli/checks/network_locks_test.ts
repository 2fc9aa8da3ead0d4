import assert from "node:assert/strict";
import { networkLocks } from "../../../../../src/lockd/cli/checks/network_locks.ts";
import { diskXml, domainXml, found } from "./check_fixture.ts";

const mounted = (type: string, options: string) => ({
  "/proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
    `30 22 0:40 / /srv rw,relatime - ${type} server:/export rw,${options}\n`,
});
const GUESTS = {
  "/etc/libvirt/qemu/a.xml": domainXml("a", [diskXml("file='/srv/a'"), diskXml("file='/img/b'")]),
  "/etc/libvirt/qemu-lockd.conf": 'file_lockspace_dir = "/srv/locks"\n',
};

/** What is said of guests and lock directories on a mount. */
async function said(type: string, options: string): Promise<string> {
  const findings = await found(networkLocks, { ...GUESTS, ...mounted(type, options) });
  assert.equal(findings.length <= 1, true);
  return findings.join();
}

Deno.test("networkLocks finds a mount whose locks stay on this host", async () => {
  const kept = (why: string) =>
    `problem: server:/export is mounted at /srv ${why}: no other host sees the locks on /srv/locks and 1 more`;
  assert.equal(await said("nfs", "vers=3,nolock,local_lock=all"), kept("with the option nolock"));
  assert.equal(await said("nfs4", "local_lock=posix"), kept("with the option local_lock=posix"));
  assert.equal(await said("cifs", "nobrl"), kept("with the option nobrl"));
  assert.equal(await said("ocfs2", "localflocks"), kept("with the option localflocks"));
  assert.equal(await said("fuse.sshfs", "x"), kept("with sshfs, which has no locks"));
});

Deno.test("networkLocks warns of a mount whose locks may not reach other hosts", async () => {
  const perhaps = (why: string) =>
    "warning: Locks on /srv/locks and 1 more may not reach the other hosts that use server:/export: /srv is " +
    why;
  assert.equal(await said("9p", "x"), perhaps("9p, whose servers mostly keep them to this host"));
  assert.equal(
    await said("virtiofs", "x"),
    perhaps("virtiofs, whose server passes them on only when it is told to"),
  );
  assert.equal(await said("fuse.s3fs", "x"), perhaps("fuse.s3fs, whose program decides"));
});

Deno.test("networkLocks is content when locks reach the server", async () => {
  const reached = "ok: Locks on /srv reach server:/export: /srv/locks and 1 more";
  assert.equal(await said("nfs", "local_lock=none"), reached);
  assert.equal(await said("cifs", "x"), reached);
  assert.equal(await said("fuse.glusterfs", "x"), reached);
});

Deno.test("networkLocks has nothing to say of a local disk, nor of a mount that holds no lock", async () => {
  assert.equal(await said("ext4", "nolock"), "");
  assert.deepEqual(await found(networkLocks, mounted("nfs", "nolock")), []);
});
