import { type Check, ok, problem, warning } from "./check.ts";
import { readLockdConfig } from "./libvirt_config.ts";

/** Whether guests get locks without each of them asking for some. */
export const leaseSettings: Check = {
  name: "lease settings",
  run({ host }) {
    const { config, autoDiskLeases, requireLeases } = readLockdConfig(host);
    const path = `${host.places.config}/qemu-lockd.conf`;
    if (config.kind === "broken") {
      return [problem(`${path} is broken: ${config.reason}`, "Correct the line; no guest starts with it")];
    }
    if (autoDiskLeases) {
      return [ok("Guests need not ask for a lock on a disk that they may write (auto_disk_leases)")];
    }
    if (requireLeases) {
      return [
        warning(
          `${path} has auto_disk_leases = 0: disks are not locked, but a guest without a <lease> is refused`,
          "See that each guest has a lease, or set auto_disk_leases = 1",
        ),
      ];
    }
    return [
      problem(
        `${path} has auto_disk_leases = 0 and require_lease_for_disks = 0: a guest without a <lease> runs without any lock`,
        "Set auto_disk_leases = 1, or at least require_lease_for_disks = 1, and restart libvirtd",
      ),
    ];
  },
};
