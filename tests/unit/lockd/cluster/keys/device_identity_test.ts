import assert from "node:assert/strict";
import { BlockDevices } from "../../../../../src/lockd/cluster/keys/block_devices.ts";
import {
  type DeviceIdentity,
  deviceIdentity,
} from "../../../../../src/lockd/cluster/keys/device_identity.ts";
import type { FileStatus } from "../../../../../src/os/sys.ts";
import { S_IFBLK, S_IFREG } from "../../../../../src/os/constants.ts";

/** sysfs, as a kernel shows it: what each attribute says, by its path below /sys/dev/block. */
function sysfs(attributes: Readonly<Record<string, string>>) {
  const paths = Object.keys(attributes);
  return {
    open: (path: string) => {
      const index = paths.indexOf(path.slice("/sys/dev/block/".length));
      return index < 0 ? -2 : 100 + index;
    },
    read: (fd: number, into: Uint8Array) => {
      if (read.has(fd)) return 0;
      read.add(fd);
      return new TextEncoder().encodeInto(`${attributes[paths[fd - 100] ?? ""]}\n`, into).written;
    },
    close: (fd: number) => {
      read.delete(fd);
      return 0;
    },
  };
}
const read = new Set<number>();

function identity(attributes: Readonly<Record<string, string>>, minor = 0): DeviceIdentity {
  return deviceIdentity(sysfs(attributes), 8, minor);
}

function shared(space: string, name: string): DeviceIdentity {
  return { kind: "shared", name: { space, name } };
}

const NAA = "naa.6001405ABCDEF0123456789abcdef012";
const SCSI = "36001405abcdef0123456789abcdef012";
const GROUP = "kb0VkbvmPmcqWlWsjKbeMxUpTiqDfj0W";
const VOLUME = "06UgP52rhbw3Bo3mdRWeoLpytOSAa2ky";

Deno.test("a SCSI disk is called as scsi_id calls it, by each path and by the multipath map over them", () => {
  assert.deepEqual(identity({ "8:0/device/wwid": NAA }), shared("scsi", SCSI));
  assert.deepEqual(identity({ "8:16/device/wwid": NAA }, 16), shared("scsi", SCSI));
  assert.deepEqual(identity({ "8:0/dm/uuid": `mpath-${SCSI}` }), shared("scsi", SCSI));
  assert.deepEqual(
    identity({ "8:0/device/wwid": "eui.0025385B71B00A2C" }),
    shared("scsi", "20025385b71b00a2c"),
  );
  assert.deepEqual(
    identity({ "8:0/device/wwid": "t10.ATA     QEMU HARDDISK       QM00001 " }),
    shared("scsi", "1ATA_QEMU_HARDDISK_QM00001"),
  );
});

Deno.test("a partition is its disk's with its number, on a map too", () => {
  assert.deepEqual(
    identity({ "8:1/partition": "1", "8:1/../device/wwid": NAA }, 1),
    shared("scsi", `${SCSI}-part1`),
  );
  assert.deepEqual(identity({ "8:0/dm/uuid": `part1-mpath-${SCSI}` }), shared("scsi", `${SCSI}-part1`));
  assert.deepEqual(
    identity({ "8:2/partition": "2", "8:2/../wwid": "eui.0025385b71b00a2c" }, 2),
    shared("devices", "eui.0025385b71b00a2c-part2"),
  );
});

Deno.test("a logical volume is called as lvs calls it, and none of its hidden parts is", () => {
  assert.deepEqual(
    identity({ "8:0/dm/uuid": `LVM-${GROUP}${VOLUME}` }),
    shared("lvm", "06UgP5-2rhb-w3Bo-3mdR-WeoL-pytO-SAa2ky"),
  );
  assert.deepEqual(identity({ "8:0/dm/uuid": `LVM-${GROUP}${VOLUME}-real` }), {
    kind: "local",
    reason: `it is mapped (LVM-${GROUP}${VOLUME}-real), and such a map has no name that other hosts have too`,
  });
});

Deno.test("an NVMe disk is called as the kernel calls it, and as a multipath map does", () => {
  assert.deepEqual(identity({ "8:0/wwid": "uuid.1-2" }), shared("devices", "uuid.1-2"));
  assert.deepEqual(identity({ "8:0/dm/uuid": "mpath-uuid.1-2" }), shared("devices", "uuid.1-2"));
});

Deno.test("a device of which the kernel tells nothing is this host's own, whatever its path", () => {
  const nothing = { kind: "local", reason: "the kernel knows no name of it that other hosts have too" };
  assert.deepEqual(identity({}), nothing);
  assert.deepEqual(identity({ "8:0/device/wwid": "" }), nothing);
  assert.deepEqual(identity({ "8:0/device/wwid": "0x1234" }), nothing);
  assert.equal(identity({ "8:0/dm/uuid": "CRYPT-LUKS2-0123-disk" }).kind, "local");
});

Deno.test("a device of which the kernel cannot tell anything now may be one that other hosts have", () => {
  const known: Readonly<Record<string, string>> = { "8:1/partition": "1", "8:1/../device/wwid": NAA };
  const asked = ["8:1/partition", "8:1/../dm/uuid", "8:1/../wwid", "8:1/../device/wwid"];
  for (const failing of asked) {
    for (const errno of [5, 12, 13, 19, 24]) {
      const there = sysfs(known);
      const sys = {
        ...there,
        open: (path: string) => path.endsWith(`/${failing}`) ? -errno : there.open(path),
      };
      const found = deviceIdentity(sys, 8, 1);
      assert.equal(found.kind, "untold", `${failing} ${errno}`);
      assert.match("reason" in found ? found.reason : "", new RegExp(`/sys/dev/block/${failing}`));
    }
    // A disk that has told the kernel nothing: there is such a file, and nothing in it.
    for (const errno of [6, 22]) {
      const there = sysfs({});
      const sys = { ...there, open: (path: string) => path.endsWith(`/${failing}`) ? 99 : there.open(path) };
      const read = (fd: number, into: Uint8Array) => fd === 99 ? -errno : there.read(fd, into);
      assert.equal(deviceIdentity({ ...sys, read }, 8, 1).kind, "local", `${failing} ${errno}`);
    }
  }
});

Deno.test("what is open is looked at, and not its path; what is no device is none", () => {
  let mode = S_IFBLK;
  let result = 0;
  const fstat = (_fd: number, into: FileStatus) => {
    Object.assign(into, { mode, rdevMajor: 8, rdevMinor: 3 });
    return result;
  };
  const devices = new BlockDevices({
    ...sysfs({ "8:3/device/wwid": NAA }),
    fstat,
    stat: (path, into) => path === "/dev/disk/by-id/wwn" ? fstat(7, into) : -2,
  });
  assert.deepEqual(devices.at("/dev/disk/by-id/wwn"), shared("scsi", SCSI));
  assert.equal(devices.at("/dev/gone"), undefined);
  assert.equal(devices.at("/srv/a-file"), undefined);
  assert.deepEqual(devices.of(7), shared("scsi", SCSI));
  mode = S_IFREG;
  assert.equal(devices.of(7), undefined);
  mode = S_IFBLK;
  result = -5;
  assert.equal(devices.of(7), undefined);
});
