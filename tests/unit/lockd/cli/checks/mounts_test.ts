import assert from "node:assert/strict";
import { locksStayLocal, mountOf, readMounts } from "../../../../../src/lockd/cli/checks/mounts.ts";
import { FakeHost } from "./check_fixture.ts";

const MOUNTINFO = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:40 / /srv/with\\040space rw,relatime shared:2 master:3 - nfs4 server:/ex\\040port rw,vers=4.2,local_lock=none
31 22 0:41 / /srv rw - tmpfs tmpfs rw
malformed
`;

Deno.test("readMounts() reads mount points, types, sources and options", () => {
  using fake = new FakeHost({ "/proc/self/mountinfo": MOUNTINFO });
  assert.deepEqual(readMounts(fake.host), [
    { point: "/", type: "ext4", source: "/dev/sda1", options: ["rw", "errors=remount-ro"] },
    {
      point: "/srv/with space",
      type: "nfs4",
      source: "server:/ex port",
      options: ["rw", "vers=4.2", "local_lock=none"],
    },
    { point: "/srv", type: "tmpfs", source: "tmpfs", options: ["rw"] },
  ]);
});

Deno.test("mountOf() finds the file system with the longest mount point that covers a path", () => {
  using fake = new FakeHost({ "/proc/self/mountinfo": MOUNTINFO });
  const mounts = readMounts(fake.host);
  const point = (path: string) => mountOf(mounts, path)?.point;
  assert.equal(point("/srv/with space/x"), "/srv/with space");
  assert.equal(point("/srv/with spaces"), "/srv");
  assert.equal(point("/srv"), "/srv");
  assert.equal(point("/srvx"), "/");
  assert.equal(mountOf([], "/x"), undefined);
});

Deno.test("locksStayLocal() is so for NFS with nolock, or local_lock of all or POSIX locks", () => {
  const local = (type: string, ...options: string[]) =>
    locksStayLocal({ point: "/", source: "", type, options });
  assert.equal(local("nfs", "rw", "nolock", "local_lock=all"), true);
  assert.equal(local("nfs4", "local_lock=posix"), true);
  assert.equal(local("nfs", "local_lock=flock"), false);
  assert.equal(local("nfs4", "local_lock=none"), false);
  assert.equal(local("ext4", "nolock"), false);
});
