import assert from "node:assert/strict";
import { textWith } from "../support/page.ts";
import { CLUSTER_PAGE, PLACES } from "../support/site_names.ts";
import type { Scene } from "./scene.ts";

/** Somebody who may only look does so, from a machine that is no member. */
export async function viewer({ site, guests }: Scene): Promise<void> {
  const machine = await site.stranger();
  const page = await textWith(CLUSTER_PAGE, "Look at it", "--endpoints");
  const [, command = ""] = page.split(/^(?=virtlockd cluster hosts)/m);
  const say = (words: string, more = "") => {
    const script = command.trimEnd().replace("cluster hosts", words);
    return machine.run(["sh", "-ec", `cd ${site.keeper}\n${script} ${more}`]);
  };
  await guests.undisturbed(async () => {
    const sessions: { name: string; state: string }[] = JSON.parse(
      (await say("cluster hosts", "--json")).stdout,
    );
    assert.deepEqual(
      sessions.filter(({ state }) => state === "live").map(({ name }) => name),
      PLACES.map((place) => site.hostName(place)),
    );
    const locks = JSON.parse((await say("cluster locks", "--json")).stdout);
    assert.deepEqual(
      locks.map(({ domain, host }: { domain: string; host: string }) => `${domain} ${host}`).sort(),
      PLACES.flatMap((place) => Array(2).fill(`guest${place} ${site.hostName(place)}`)),
    );
    assert.match((await say("cluster status")).stdout, /^locks: +6 locks$/m);
    const refused = await say("cluster fence kvm7 --dead --yes");
    assert.match(refused.stderr, /permission denied/);
    assert.equal(refused.code, 2);
  });
}
