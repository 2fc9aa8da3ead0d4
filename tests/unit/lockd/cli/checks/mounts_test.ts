import assert from "node:assert/strict";
import { lockReach, mountOf, readMounts } from "../../../../../src/lockd/cli/checks/mounts.ts";
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

Deno.test("lockReach() tells by type and options whether other hosts see a lock", () => {
  const reach = (type: string, ...options: string[]) =>
    lockReach({ point: "/", source: "", type, options })?.kind;
  assert.equal(reach("nfs", "rw", "nolock", "local_lock=all"), "here");
  assert.equal(reach("nfs4", "local_lock=posix"), "here");
  assert.equal(reach("nfs", "local_lock=flock"), "everywhere");
  assert.equal(reach("nfs4", "local_lock=none"), "everywhere");
  assert.equal(reach("cifs", "nobrl"), "here");
  assert.equal(reach("smb3"), "everywhere");
  assert.equal(reach("lustre", "localflock"), "here");
  assert.equal(reach("lustre", "flock"), "everywhere");
  assert.equal(reach("fuse.sshfs"), "here");
  assert.equal(reach("fuse.glusterfs"), "everywhere");
  assert.equal(reach("fuse.rclone"), "unknown");
  assert.equal(reach("9p"), "unknown");
  assert.equal(reach("virtiofs"), "unknown");
  assert.equal(reach("ext4", "nolock"), undefined);
  assert.equal(reach("fuseblk"), undefined);
});
