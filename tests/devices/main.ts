// `deno task test:devices`, as root: what block devices are to all hosts, on a real kernel of Debian's with
// SCSI, SATA and NVMe disks, device mapper, LVM and multipath, in a virtual machine. What it looks at is in
// inside.ts.
import { exitProcess } from "../../src/os/runtime.ts";
import { host, runOk } from "../e2e/support/command.ts";
import { passesInside } from "../virtual_machine/virtual_machine.ts";

const PACKAGES = [
  "linux-image-amd64",
  "kmod",
  "iproute2",
  "procps",
  "util-linux",
  "udev",
  "fdisk",
  "dmsetup",
  "lvm2",
  "kpartx",
  "multipath-tools",
];

const SCRIPT = `
mount -t devtmpfs dev /dev 2>/dev/null
/lib/systemd/systemd-udevd --daemon
udevadm trigger --type=subsystems; udevadm trigger --type=devices; udevadm settle
for module in dm_multipath dm_crypt scsi_debug loop zram nbd null_blk; do modprobe $module; done
udevadm settle
cd /tree && /tree/deno run -A --no-check tests/devices/inside.ts`;

/** A LUN by two paths, a disk without a name, one of SATA, and three of NVMe. */
async function hardware(directory: string): Promise<readonly string[]> {
  const args: string[] = ["-device", "virtio-scsi-pci,id=scsi"];
  const add = async (name: string, device: string, more = "") => {
    const file = `${directory}/${name.replace(/-.*/, "")}`;
    await runOk(host, ["truncate", "-s", "64M", file]);
    const drive = `if=none,id=${name},file=${file},format=raw,file.locking=off${more}`;
    args.push("-drive", drive, "-device", `${device},drive=${name}`);
  };
  const lun = "scsi-hd,bus=scsi.0,wwn=0x5000c500a1b2c3d4,serial=lun1,share-rw=on";
  await add("lun-a", `${lun},scsi-id=1`);
  await add("lun-b", `${lun},scsi-id=2`);
  await add("serial", "scsi-hd,bus=scsi.0,scsi-id=3,serial=only-serial");
  await add("sata", "ide-hd,bus=ide.0,serial=SATA0001");
  await add("nvme1", "nvme,serial=nvme-one");
  await add("nvme2", "nvme-ns,bus=nvme,uuid=11111111-2222-3333-4444-555555555555");
  await add("nvme3", "nvme-ns,bus=nvme,eui64=0x0011223344556677");
  // The controller that the two name spaces are on.
  args.splice(2, 0, "-device", "nvme,id=nvme,serial=nvme-two");
  return args;
}

exitProcess(await passesInside({ name: "devices", packages: PACKAGES, script: SCRIPT, hardware }) ? 0 : 1);
