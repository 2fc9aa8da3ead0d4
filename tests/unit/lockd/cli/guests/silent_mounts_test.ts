import assert from "node:assert/strict";
import { isOnMounts, silentMounts } from "../../../../../src/lockd/cli/guests/silent_mounts.ts";
import { linuxSys } from "../../../../../src/os/linux.ts";

const MOUNTINFO = `22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / /srv/nfs rw - nfs4 server:/a rw
31 22 0:41 / /srv/auto rw - autofs systemd-1 rw
32 22 0:42 / /srv/fuse rw - fuse.sshfs host:/b rw
33 22 0:43 / /tmp rw - tmpfs tmpfs rw
`;

Deno.test("silentMounts() asks the mounts that may hang, but mounts nothing by that", async () => {
  const asked: string[] = [];
  const ask = (point: string) => {
    asked.push(point);
    return Promise.resolve(point !== "/srv/fuse");
  };
  assert.deepEqual(await silentMounts(MOUNTINFO, ask), ["/srv/fuse"]);
  assert.deepEqual(asked, ["/srv/nfs", "/srv/fuse"]);
});

Deno.test("silentMounts() takes an error for an answer", async () => {
  assert.deepEqual(await silentMounts("30 22 0:40 / /nonexistent/mount rw - nfs4 server:/a rw\n"), []);
});

Deno.test("isOnMounts() tells a path on a mount, through a symbolic link, too", () => {
  const links: Record<string, string> = { "/images": "/srv/nfs/images" };
  const sys = { ...linuxSys(), readlink: (path: string) => links[path] ?? -22 };
  const isSilent = isOnMounts(sys, MOUNTINFO, ["/srv/nfs"]);
  assert.deepEqual(
    ["/srv/nfs", "/srv/nfs/a", "/images/a", "/srv/nfsx", "/srv/fuse/a", "/tmp/a"].map(isSilent),
    [true, true, true, false, false, false],
  );
  assert.equal(isOnMounts(sys, MOUNTINFO, [])("/srv/nfs"), false);
});
