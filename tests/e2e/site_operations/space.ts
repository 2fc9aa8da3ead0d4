import { textsOf } from "../support/page.ts";
import { ETCD_PAGE, PLACES } from "../support/site_names.ts";
import { eachMember, lockAnew, type Scene, untilRefused } from "./scene.ts";

/** What a database may have that is to be filled, in the place of what the page has for one that is not. */
const SMALL = "sed -i 's/^ETCD_QUOTA_BACKEND_BYTES=.*/ETCD_QUOTA_BACKEND_BYTES=33554432/' /etc/default/etcd";
/** One key that is written again and again, as by a program gone wild. */
const FILL = `
head -c 1000000 /dev/zero | tr '\\0' x >value
for number in $(seq 200); do
  etcdctl put /elsewhere/key <value >said 2>&1 && continue
  if grep -q 'database space exceeded' said; then exit 0; fi
  cat said
done
exit 1
`;

/** The database is full while guests run, and one of them ends. */
export async function fullDatabase(scene: Scene): Promise<void> {
  const { site, guests } = scene;
  await eachMember(scene, (place) => site.machine(place).sh(`${SMALL}\nsystemctl restart etcd`));
  const [makeRoom = ""] = await textsOf(ETCD_PAGE, "The database is full");
  await guests.define("coming", 0);
  await guests.undisturbed(async () => {
    await guests.start("leaving", 1);
    await site.asRoot(FILL);
    await untilRefused(site.libvirt(0), "coming", /etcd is full/);
    await guests.end("leaving");
    await site.asRoot(makeRoom);
    for (const place of PLACES) await lockAnew(scene, place);
  });
  for (const place of PLACES) await site.untilLive(place);
}
