import assert from "node:assert/strict";
import { textsOf } from "../support/page.ts";
import { ETCD_PAGE, ofMember, type Place, PLACES } from "../support/site_names.ts";
import { lockAnew, type Scene } from "./scene.ts";

/**
 * A backup is gone back to that has the locks of a guest which has ended since, and lacks those of one which
 * was started since.
 */
export async function backup(scene: Scene): Promise<void> {
  const { site, guests } = scene;
  const [save = "", restore = "", recover = ""] = await textsOf(ETCD_PAGE, "A backup, and back");
  await guests.start("ended", 1);
  await site.asRoot(save);
  await guests.end("ended");
  await guests.start("begun", 2);
  await guests.undisturbed(async () => {
    for (const place of PLACES) await bring(scene, place);
    for (const place of PLACES) await site.machine(place).sh("systemctl stop etcd");
    for (const place of PLACES) {
      await site.asRoot(await ofVersion(scene, ofMember(restore, place), place), place);
    }
    await Promise.all(PLACES.map((place) => site.machine(place).sh("systemctl start etcd")));
    await site.untilHealthy(3);
    const { code, stderr } = await site.machine(0).run(["sh", "-ec", recover], { deadline: 120_000 });
    if (code !== 0) {
      // Nothing tells a host in a container whether a guest that it knows from etcd alone writes no more.
      assert.match(stderr, /it waits for kvm8/);
      for (const lock of guests.locks("ended")) {
        await site.machine(0).sh(`virtlockd cluster release ${lock} --host kvm8 --force --yes`);
      }
    }
    for (const place of PLACES) await site.untilLive(place);
  });
  for (const place of PLACES) await lockAnew(scene, place);
  await guests.end("begun");
}

async function bring({ site }: Scene, place: Place): Promise<void> {
  if (place === 0) return;
  const file = `${site.keeper}/backup.db`;
  await Deno.copyFile(site.machine(0).outside(file), site.machine(place).outside(file));
}

/** The page has the command of etcd 3.5, and says what it is with 3.4. */
async function ofVersion({ site }: Scene, script: string, place: Place): Promise<string> {
  const { code } = await site.machine(place).run(["sh", "-c", "command -v etcdutl"]);
  return code === 0 ? script : script.replace("etcdutl snapshot", "ETCDCTL_API=3 etcdctl snapshot");
}
