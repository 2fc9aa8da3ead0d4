import assert from "node:assert/strict";
import { mountActivity } from "../../../../src/storaged/backends/mount_activity.ts";
import { encodeText } from "../../../../src/os/text.ts";

const MOUNTINFO = `25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 25 8:17 / /mnt/disk rw - ext4 /dev/sdb1 rw
41 25 0:50 / /mnt/nfs rw - nfs4 server:/export rw
42 25 0:51 / /mnt/fuse rw - fuse.x x rw
`;

function stats(calls: number, read: number): string {
  return `device /dev/sdb1 mounted on /mnt/disk with fstype ext4
device server:/export mounted on /mnt/nfs with fstype nfs4 statvers=1.1
\tage:\t${calls}
\tbytes:\t${read} 0 0 0 ${read} 0 1 0
\txprt:\ttcp 779 1 ${calls} 0 5 ${calls} 2 0 9 0 2 0 0
device server:/other mounted on /mnt/other with fstype nfs4 statvers=1.1
\tbytes:\t7 0 0 0 7 0 1 0
`;
}

/** What is said of a mount by files with these texts. */
function activity(path: string, more: Readonly<Record<string, string>>): string {
  const files: Readonly<Record<string, string>> = { "/proc/self/mountinfo": MOUNTINFO, ...more };
  const names = Object.keys(files);
  return mountActivity({
    open: (name) => names.includes(name) ? names.indexOf(name) : -2,
    close: () => 0,
    pread: (fd, into, position) => {
      const text = encodeText(files[names[fd] ?? ""] ?? "").subarray(position);
      into.set(text.subarray(0, into.length));
      return Math.min(text.length, into.length);
    },
  }, path);
}

Deno.test("a mount of a device has done something when its device has", () => {
  assert.equal(activity("/mnt/disk", { "/sys/dev/block/8:17/stat": "1 2 3\n" }), "1 2 3\n");
  assert.equal(activity("/mnt/disk", {}), "");
});

Deno.test("a mount of a server has done something when bytes have come or gone, not when it is asked again", () => {
  const once = activity("/mnt/nfs", { "/proc/self/mountstats": stats(5, 100) });
  assert.equal(once, "\tbytes:\t100 0 0 0 100 0 1 0");
  assert.equal(activity("/mnt/nfs", { "/proc/self/mountstats": stats(6, 100) }), once);
  assert.notEqual(activity("/mnt/nfs", { "/proc/self/mountstats": stats(6, 101) }), once);
});

Deno.test("of other mounts nothing is known, nor of none", () => {
  assert.equal(activity("/mnt/fuse", { "/proc/self/mountstats": stats(5, 100) }), "");
  assert.equal(activity("/mnt/none", {}), "");
});
