import type { ClusterSite } from "./cluster_site.ts";
import type { Guest } from "./guest.ts";
import { type Place, PLACES } from "./site_names.ts";

/** The guest that starts with a host. */
export function guestOf(place: Place): string {
  return `guest${place}`;
}

/** Starts guests of two disks each, one for each host, that start with their hosts from then on. */
export async function startGuests(site: ClusterSite): Promise<void> {
  for (const place of PLACES) {
    const libvirt = site.libvirt(place);
    for (const name of disksOf(place)) await libvirt.createDisk(name);
    await defineGuest(site, place, place);
    await libvirt.virsh("autostart", guestOf(place));
    await libvirt.virsh("start", guestOf(place));
  }
}

/** Defines the guest of one host on any. */
export async function defineGuest(site: ClusterSite, place: Place, on: Place): Promise<void> {
  const libvirt = site.libvirt(on);
  const disks: Guest["disks"] = disksOf(place).map((name) => {
    return { path: `${libvirt.directory}/${name}`, format: "qcow2" };
  });
  await libvirt.define({ name: guestOf(place), uuid: `${place}0000000-1111-4111-8111-111111111111`, disks });
}

function disksOf(place: Place): readonly string[] {
  return [0, 1].map((number) => `${guestOf(place)}-${number}.qcow2`);
}
