import { readDefinedGuests } from "../guests/defined_guests.ts";
import type { Domain } from "../guests/domain.ts";
import { readRunningGuests } from "../guests/running_guests.ts";
import { type Check, type Finding, warning } from "./check.ts";

/**
 * Whether guests have disks for which libvirt asks for no lock at all, and no lease that stands in for it.
 */
export const neverLocked: Check = {
  name: "disks without locks",
  run({ host }) {
    // What runs may differ from what is defined, and counts.
    const guests = new Map<string, Domain>();
    for (const guest of [...readDefinedGuests(host), ...readRunningGuests(host).guests]) {
      guests.set(guest.uuid, guest);
    }
    return [...guests.values()].flatMap(inspect);
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
