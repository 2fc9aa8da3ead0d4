import { type Check, ok, warning } from "./check.ts";
import { readDefinedGuests } from "../guests/defined_guests.ts";
import { lockedPaths } from "../guests/domain.ts";
import { readRunningGuests } from "../guests/running_guests.ts";
import { readSettings } from "./configuration.ts";
import { readLockdConfig } from "./libvirt_config.ts";

/**
 * Whether disks are locked by their name in /dev, which no other host sees. Of a host in a cluster the check
 * of its disks tells.
 */
export const deviceLocks: Check = {
  name: "devices",
  async run({ host, daemon }) {
    const { clusterEndpoints } = await readSettings(host);
    if (clusterEndpoints.length > 0) return [];
    const { directories } = readLockdConfig(host);
    if (directories.has("lvm_lockspace_dir") && directories.has("scsi_lockspace_dir")) {
      return [ok("Devices are locked by their LVM or SCSI identity, in lock directories")];
    }
    const disks = lockedPaths([...readDefinedGuests(host), ...readRunningGuests(host).guests]);
    const locked = daemon.kind !== "answers"
      ? []
      : daemon.locks.filter(({ lockspace }) => lockspace === "").map(({ resource }) => resource);
    const devices = [...new Set([...disks, ...locked])].filter((path) => path.startsWith("/dev/")).sort();
    const [first] = devices;
    if (first === undefined) return [];
    const open = directories.has("lvm_lockspace_dir")
      ? "scsi_lockspace_dir"
      : directories.has("scsi_lockspace_dir")
      ? "lvm_lockspace_dir"
      : "lvm_lockspace_dir and scsi_lockspace_dir";
    const others = devices.length === 1 ? "" : ` and ${devices.length - 1} more devices`;
    return [
      warning(
        `A lock on ${first}${others} is seen by this host alone: /dev is not shared, though the storage behind it may be`,
        `If other hosts reach that storage, set ${open} in qemu-lockd.conf to a directory on storage that all hosts share`,
      ),
    ];
  },
};
