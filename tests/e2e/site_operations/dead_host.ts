import assert from "node:assert/strict";
import { textsOf, textWith } from "../support/page.ts";
import { CLUSTER_PAGE, ETCD_PAGE, type Place, PLACES } from "../support/site_names.ts";
import { lockAnew, type Scene, untilRefused } from "./scene.ts";

/** The host that loses its power has this place. */
const DEAD: Place = 2;
const GUEST = `guest${DEAD}`;

/**
 * A host loses its power. One lock of its guest is freed by a command and one in etcd itself, the rest by the
 * word that the host is dead, written by hand. It is forgotten, and comes back.
 */
export async function deadHost(scene: Scene): Promise<void> {
  const { site, guests } = scene;
  await guests.start("companion", DEAD);
  await site.powerOff(DEAD);
  guests.lost(DEAD);
  for (const name of [GUEST, "companion"]) await guests.define(name, 0);
  await guests.undisturbed(async () => {
    await untilRefused(site.libvirt(0), GUEST, /virtlockd cluster fence/);
    const [first = "", second = ""] = guests.locks(GUEST);
    await site.machine(0).sh(`virtlockd cluster release ${first} --yes`);
    await freeByHand(scene, second);
    await guests.start(GUEST, 0);

    await untilRefused(site.libvirt(0), "companion", /virtlockd cluster fence/);
    await fenceByHand(scene);
    await guests.start("companion", 0);
    assert.deepEqual((await states(scene)).get(site.hostName(DEAD)), "fenced");
    await site.machine(0).sh(`virtlockd cluster remove ${site.hostName(DEAD)}`);
    assert.ok(!(await states(scene)).has(site.hostName(DEAD)));

    await site.powerOn(DEAD);
    await site.untilLive(DEAD);
    await site.untilHealthy(3);
    for (const place of PLACES) await lockAnew(scene, place);
  }, [0, 1]);
  await guests.end("companion");
  await guests.end(GUEST);
  await guests.start(GUEST, DEAD);
}

/** "One lock by hand". */
async function freeByHand({ site }: Scene, name: string): Promise<void> {
  const [page = ""] = await textsOf(ETCD_PAGE, "One lock by hand");
  const key = `/virtlockd/prod/lock/files/${name}`;
  const record = (await site.keys(key)).get(key) ?? "";
  const { session }: { session: string } = JSON.parse(record);
  const script = page.replaceAll("lock/scsi/disk", `lock/files/${name}`).replaceAll("SESSION", session)
    .replace('THE RECORD, EACH QUOTE AS \\"', record.replaceAll('"', '\\"'));
  assert.match(await site.asRoot(script), /^SUCCESS$/m);
}

/** What is to be done "when no command can be had". */
async function fenceByHand({ site }: Scene): Promise<void> {
  const name = site.hostName(DEAD);
  const { session = "" } =
    (await site.hosts()).find((each) => each.name === name && each.state === "silent") ?? {};
  const page = await textWith(CLUSTER_PAGE, "After a reboot", "etcdctl txn");
  const [look = "", change = ""] = page.split(/^(?=etcdctl txn)/m);
  const { kvs }: { kvs: { key: string; value: string; mod_revision: number }[] } = JSON.parse(
    await site.asRoot(look),
  );
  const found = kvs.find(({ key }) => atob(key).endsWith(session));
  assert.ok(found !== undefined);
  const { host, boot }: { host: string; boot: string } = JSON.parse(atob(found.value));
  const script = change.replaceAll("SID", session).replace("REVISION", String(found.mod_revision))
    .replace('\\"ID\\"', `\\"${host}\\"`).replace('\\"BOOT\\"', `\\"${boot}\\"`).replace("kvm7", name);
  assert.match(await site.asRoot(script), /^SUCCESS$/m);
}

async function states({ site }: Scene): Promise<Map<string, string>> {
  return new Map((await site.hosts()).map(({ name, state }) => [name, state]));
}
