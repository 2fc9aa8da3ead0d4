import { until } from "../../support/until.ts";
import type { Libvirt } from "../support/libvirt.ts";
import type { ClusterSite } from "../support/cluster_site.ts";
import type { WatchedGuests } from "../support/watched_guests.ts";
import { type Place, PLACES } from "../support/site_names.ts";

/** Where operations are done: a site, and guests that run on its hosts. */
export interface Scene {
  readonly site: ClusterSite;
  readonly guests: WatchedGuests;
}

/** Another guest gets its locks on a host, and gives them back. */
export async function lockAnew({ guests }: Scene, place: Place): Promise<void> {
  const name = `another${place}`;
  await guests.start(name, place);
  await guests.end(name);
}

/** Something is done to the members one after the other, the next one when all are well. */
export async function eachMember(
  { site }: Scene,
  what: (place: Place) => Promise<unknown>,
): Promise<void> {
  for (const place of PLACES) {
    await what(place);
    await site.untilHealthy(3);
  }
}

/** The host tries to start a guest, until it is told this. */
export async function untilRefused(libvirt: Libvirt, guest: string, text: RegExp): Promise<void> {
  await until(`${guest} to be refused with ${text}`, async () => {
    return text.test(await libvirt.virshError("start", guest));
  }, 60_000);
}
