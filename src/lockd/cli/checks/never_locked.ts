import { readGuestsOnce } from "../guests/known_guests.ts";
import type { Domain } from "../guests/domain.ts";
import { type Check, type Finding, warning } from "./check.ts";
import { readSettings } from "./configuration.ts";

/**
 * Whether guests have disks for which libvirt asks for no lock at all, and no lease that stands in for it. Of
 * a host in a cluster the check of its disks tells.
 */
export const neverLocked: Check = {
  name: "disks without locks",
  async run({ host }) {
    const { clusterEndpoints } = await readSettings(host);
    return clusterEndpoints.length > 0 ? [] : readGuestsOnce(host).flatMap(inspect);
  },
};

function inspect({ name, disks, leases }: Domain): Finding[] {
  const bare = disks.flatMap((disk) => disk.kind === "never locked" ? [disk.what] : []);
  if (bare.length === 0 || leases.length > 0) return [];
  return [
    warning(
      `Guest '${name}' may write what libvirt never locks: ${bare.join(", ")}`,
      "Let the storage itself see to it that there is one writer, or give the guest a <lease> in a lock directory that all hosts share",
    ),
  ];
}
