// What main.ts looks at, inside of the machine. Ends with an error at the first thing that is not as it
// should be.
import assert from "node:assert/strict";
import { deviceIdentity } from "../../src/lockd/cluster/keys/device_identity.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { emptyStatus } from "../../src/os/sys.ts";
import { must } from "../../src/os/system_error.ts";
import { run, step } from "../virtual_machine/steps.ts";

const sys = linuxSys();
const UNNAMED = "the kernel knows no name of it that other hosts have too";
/** No daemon runs. */
const NO_LOG = "/dev/null";
const WWN = "35000c500a1b2c3d4";

/** What a device is to all hosts: `space/name`, or why it has no name. */
function identity(device: string): string {
  const status = emptyStatus();
  must(sys.stat(`/dev/${device}`, status), "stat", device);
  const found = deviceIdentity(sys, status.rdevMajor, status.rdevMinor);
  return found.kind === "shared" ? `${found.name.space}/${found.name.name}` : found.reason;
}

async function sh(script: string): Promise<string> {
  return (await run("sh", "-ec", script)).trim();
}

/** Which disk of the machine is which: by its name there, which the kernel gives in any order. */
async function disk(model: RegExp): Promise<string> {
  const links = await sh(
    "cd /dev/disk/by-id; for link in *; do echo $link $(basename $(readlink $link)); done",
  );
  const line = links.split("\n").find((each) => model.test(each));
  return line?.split(" ")[1] ?? assert.fail(`no disk is called ${model}:\n${links}`);
}

await step(NO_LOG, "SCSI and SATA disks are called as scsi_id and so libvirt calls them", async () => {
  const [debug, sata] = [await disk(/^wwn-0x3333333/), await disk(/^scsi-1ATA.*SATA0001 /)];
  for (const name of ["sda", "sdb", debug, sata]) {
    const said = await sh(`/lib/udev/scsi_id --replace-whitespace --whitelisted --device /dev/${name}`);
    assert.equal(identity(name), `scsi/${said}`);
  }
  // Two paths of one LUN.
  for (const name of ["sda", "sdb"]) assert.equal(identity(name), `scsi/${WWN}`);
  assert.equal(identity(sata), "scsi/1ATA_QEMU_HARDDISK_SATA0001");
});

await step(NO_LOG, "a disk that only says a serial number has no name that the kernel knows", async () => {
  assert.equal(identity(await disk(/^scsi-SQEMU_QEMU_HARDDISK_only-serial /)), UNNAMED);
});

await step(
  NO_LOG,
  "partitions, by either path, by a multipath map and by the map of a partition",
  async () => {
    await sh(
      "printf 'label: gpt\\nsize=8M\\nsize=8M\\n' | sfdisk -q /dev/sda; blockdev --rereadpt /dev/sdb; udevadm settle",
    );
    for (const name of ["sda1", "sdb1"]) assert.equal(identity(name), `scsi/${WWN}-part1`);
    await sh(`kpartx -d /dev/sdb; partx -d /dev/sdb
    echo 0 131072 linear /dev/sdb 0 | dmsetup create lun --uuid mpath-${WWN}
    kpartx -s -a /dev/mapper/lun; udevadm settle`);
    assert.equal(identity("mapper/lun"), `scsi/${WWN}`);
    const parts = await sh("ls /dev/mapper | grep '^lun.*2$'");
    assert.equal(identity(`mapper/${parts}`), `scsi/${WWN}-part2`);
  },
);

await step(NO_LOG, "NVMe disks, and partitions of them", async () => {
  const name = await disk(/^nvme-QEMU_NVMe_Ctrl_nvme-one\S* /);
  const wwid = await sh(`cat /sys/block/${name}/wwid`);
  assert.match(wwid, /^nvme\.1b36-6e766d652d6f6e65-/);
  assert.equal(identity(name), `devices/${wwid}`);
  await sh(`printf 'label: gpt\\nsize=8M\\n' | sfdisk -q /dev/${name}; udevadm settle`);
  assert.equal(identity(`${name}p1`), `devices/${wwid}-part1`);
  const others = [
    await disk(/^nvme-QEMU_NVMe_Ctrl_nvme-two_1 /),
    await disk(/^nvme-QEMU_NVMe_Ctrl_nvme-two_2 /),
  ];
  assert.equal(new Set([name, ...others].map(identity)).size, 3);
});

await step(
  NO_LOG,
  "logical volumes are called as lvs and so libvirt calls them, and what is under them has no name",
  async () => {
    const [physical] = [await disk(/^nvme-QEMU_NVMe_Ctrl_nvme-two_1 /)];
    await sh(`pvcreate -q -ff -y /dev/${physical}; vgcreate -q vg /dev/${physical}
    lvcreate -q -y -n lv -L 8M vg; lvcreate -q -y -n snap -s -L 4M vg/lv; udevadm settle`);
    for (const name of ["lv", "snap"]) {
      assert.equal(identity(`vg/${name}`), `lvm/${await sh(`lvs --noheadings -o lv_uuid vg/${name}`)}`);
    }
    for (const name of ["vg-lv-real", "vg-snap-cow"]) {
      assert.match(
        identity(`mapper/${name}`),
        /^it is mapped \(LVM-\w+-(real|cow)\), and such a map has no name/,
      );
    }
  },
);

await step(
  NO_LOG,
  "maps without a name, loop devices, nbd, zram, null_blk and virtio disks have none",
  async () => {
    await sh("echo 0 8192 linear /dev/nullb0 0 | dmsetup create plain");
    await sh(
      "echo 0 8192 crypt aes-xts-plain64 $(printf '%064d' 1) 0 /dev/nullb0 8192 | dmsetup create secret --uuid CRYPT-PLAIN-secret",
    );
    for (const name of ["mapper/plain", "loop0", "nbd0", "zram0", "nullb0", "vda"]) {
      assert.equal(identity(name), UNNAMED);
    }
    assert.equal(
      identity("mapper/secret"),
      "it is mapped (CRYPT-PLAIN-secret), and such a map has no name that other hosts have too",
    );
  },
);
