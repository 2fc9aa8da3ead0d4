import assert from "node:assert/strict";
import { host, runOk } from "../support/command.ts";
import { PLACES } from "../support/site_names.ts";
import { lockAnew, type Scene } from "./scene.ts";

const CUT = `
table inet lagging {
  chain heard { type filter hook input priority 0; tcp dport 2380 drop; tcp sport 2380 drop; }
  chain said { type filter hook output priority 0; tcp dport 2380 drop; tcp sport 2380 drop; }
}
`;

/**
 * The first member, which every host asks first, hears nothing of the other two and still answers hosts: it
 * does not know of the locks that are granted meanwhile.
 */
export async function laggingMember(scene: Scene): Promise<void> {
  const { site, guests } = scene;
  await guests.undisturbed(async () => {
    await nft(scene, CUT);
    try {
      for (const place of PLACES) await lockAnew(scene, place);
      await guests.start("unheard", 1);
      await guests.undisturbed(async () => {
        // Each link with etcd begins with the member that lags.
        for (const place of PLACES) await site.machine(place).sh("systemctl stop 'virtlockd-cluster@*'");
        for (const place of PLACES) await site.untilLive(place);
        for (const place of PLACES) await lockAnew(scene, place);
      });
    } finally {
      await nft(scene, "delete table inet lagging\n");
    }
    await site.untilHealthy(3);
    for (const place of PLACES) await lockAnew(scene, place);
    await guests.end("unheard");
    for (const place of PLACES) await site.untilLive(place);
  });
  const status = await site.machine(0).sh("virtlockd cluster status --json");
  assert.equal(JSON.parse(status).phase, "open");
}

async function nft({ site }: Scene, rules: string): Promise<void> {
  const network = ["nsenter", `--net=/proc/${site.machine(0).init}/ns/net`, "--"];
  await runOk(host, [...network, "nft", "-f", "-"], { input: rules });
}
