import { textsOf } from "../support/page.ts";
import { ETCD_PAGE, type Place } from "../support/site_names.ts";
import { lockAnew, type Scene, untilRefused } from "./scene.ts";

/** The host that is shut out has this place. */
const OUT: Place = 1;
const GUEST = `guest${OUT}`;

/** A host's user is taken away while its guest runs. It is made to leave when that has ended, and let in. */
export async function shutOut(scene: Scene): Promise<void> {
  const { site, guests } = scene;
  const [revoke = "", leave = "", again = ""] = await textsOf(ETCD_PAGE, "Shut a host out");
  await guests.define("stranger", OUT);
  await guests.undisturbed(async () => {
    await site.asRoot(revoke);
    await untilRefused(site.libvirt(OUT), "stranger", /permission denied/);
    await lockAnew(scene, 0);
  }, [0, 2]);
  await guests.destroy(GUEST);
  await site.machine(0).sh(leave);
  await guests.haveTheirLocks();
  await guests.start(GUEST, 0);
  await guests.undisturbed(async () => {
    await site.asRoot(again);
    await site.machine(OUT).sh("virtlockd reload");
    await site.untilLive(OUT);
    await lockAnew(scene, OUT);
  });
  await guests.end(GUEST);
  await guests.start(GUEST, OUT);
}
