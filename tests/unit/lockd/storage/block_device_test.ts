import assert from "node:assert/strict";
import { isReachedByOthers } from "../../../../src/lockd/storage/block_device.ts";

/** sysfs: where the links lead, and what is in directories. */
function sysfs(links: Record<string, string>, directories: Record<string, string[]> = {}) {
  return {
    readlink: (path: string) => links[path] ?? -2,
    listDirectory: (path: string) => directories[path] ?? -2,
  };
}

const PLACES: [place: string, reached: boolean][] = [
  ["../../devices/virtual/block/loop7", false],
  ["../../devices/virtual/block/loop7/loop7p1", false],
  ["../../devices/virtual/block/zram0", false],
  ["../../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", false],
  ["../../devices/pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p2", false],
  ["../../devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host2/target2:0:0/2:0:0:0/block/sdb", false],
  ["../../devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sdc", true],
  ["../../devices/pci0000:00/0000:05:00.0/host1/rport-1:0-0/target1:0:0/1:0:0:0/block/sdd", true],
  ["../../devices/virtual/block/nbd0", true],
  ["../../devices/virtual/nvme-fabrics/ctl/nvme1/nvme1n1", true],
  ["../../devices/rbd/0/block/rbd0", true],
  ["../../devices/pci0000:00/0000:00:02.0/virtio1/block/vda", true],
];
for (const [place, reached] of PLACES) {
  Deno.test(`isReachedByOthers() says ${reached} of ${place}`, () => {
    assert.equal(isReachedByOthers(sysfs({ "/sys/dev/block/8:1": place }), 8, 1), reached);
  });
}

Deno.test("isReachedByOthers() looks at what a device mapper stands on", () => {
  const dm = "../../devices/virtual/block/dm-0";
  const start = "/sys/dev/block/253:0";
  const slaves = (...places: string[]) =>
    sysfs(
      {
        [start]: dm,
        ...Object.fromEntries(places.map((place, index) => [`${start}/slaves/d${index}`, place])),
      },
      { [`${start}/slaves`]: places.map((_, index) => `d${index}`) },
    );
  const local = "../../../../virtual/block/loop1";
  const remote = "../../../../platform/host3/session1/target3:0:0/3:0:0:1/block/sdc";
  assert.equal(isReachedByOthers(slaves(local), 253, 0), false);
  assert.equal(isReachedByOthers(slaves(local, remote), 253, 0), true);
  assert.equal(isReachedByOthers(slaves(), 253, 0), true);
});

Deno.test("isReachedByOthers() says true of a device that sysfs does not know", () => {
  assert.equal(isReachedByOthers(sysfs({}), 8, 1), true);
});
