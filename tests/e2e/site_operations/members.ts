import assert from "node:assert/strict";
import { textsOf } from "../support/page.ts";
import { ETCD_PAGE, type Place, PLACES } from "../support/site_names.ts";
import { eachMember, lockAnew, type Scene } from "./scene.ts";

/** What there was of a member is gone, with its packages, as with a new machine. */
const LOSE_MEMBER = `
systemctl stop etcd
apt-get purge -q -y etcd-server
rm -rf /var/lib/etcd /etc/etcd /etc/default/etcd /etc/systemd/system/etcd.service.d
`;

/** Every member is stopped, its packages are installed, and it is started again. */
export async function newVersion(scene: Scene): Promise<void> {
  const { site, guests } = scene;
  const [script = ""] = await textsOf(ETCD_PAGE, "A new version of etcd");
  await guests.undisturbed(async () => {
    await eachMember(scene, async (place) => {
      await site.follow(script, place);
      await lockAnew(scene, place);
    });
  });
  for (const place of PLACES) await site.untilLive(place);
}

/** Has apt find the next release's packages too. */
const NEXT_RELEASE = `
sed -n 's/ bookworm / trixie /p' /etc/apt/sources.list >/etc/apt/sources.list.d/next.list
apt-get update -q
`;

/** From etcd 3.4 of Debian 12 to the 3.5 of Debian 13: members of both are there at the same time. */
export async function nextMinorVersion(scene: Scene): Promise<void> {
  const { site, guests } = scene;
  const [script = ""] = await textsOf(ETCD_PAGE, "A new version of etcd");
  const versions = async (place: Place) => {
    const status = await site.asRoot("etcdctl endpoint status -w json", place);
    return JSON.parse(status).map((each: { Status: { version: string } }) =>
      each.Status.version.replace(/\.\d+$/, "")
    );
  };
  assert.deepEqual(await versions(0), ["3.4", "3.4", "3.4"]);
  await guests.undisturbed(async () => {
    await eachMember(scene, async (place) => {
      await site.follow(NEXT_RELEASE, place);
      await site.follow(script.replace("apt-get install", "apt-get install -t trixie"), place);
      await lockAnew(scene, place);
    });
  });
  for (const place of PLACES) await site.untilLive(place);
  assert.deepEqual(await versions(0), ["3.5", "3.5", "3.5"]);
}

/** The third member is lost, and another one takes its name and address. */
export async function replacement(scene: Scene): Promise<void> {
  const { site, guests } = scene;
  const [commands = "", line = ""] = await textsOf(ETCD_PAGE, "Replace a member");
  await guests.undisturbed(async () => {
    await site.machine(2).sh(LOSE_MEMBER);
    await lockAnew(scene, 1);
    const [, id = ""] = /^([0-9a-f]+), started, etcd3,/m.exec(await site.asRoot("etcdctl member list")) ?? [];
    await site.asRoot(commands.replace("ID-OF-ETCD3", id));
    await site.installEtcd(2);
    await site.machine(2).sh("cat >>/etc/default/etcd", { input: line });
    await site.machine(2).sh("systemctl enable --quiet --now etcd");
    await site.untilHealthy(3);
    await lockAnew(scene, 2);
  });
  assert.match(await site.asRoot("etcdctl member list", 2), /, started, etcd3, https:\/\/etcd3:2380,/);
}
