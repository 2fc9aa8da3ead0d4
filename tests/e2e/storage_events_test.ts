import assert from "node:assert/strict";
import { runOk } from "./support/command.ts";
import { OUR_STORAGE_DAEMON, StoragePeer } from "./support/storage_peer.ts";
import { until } from "../support/until.ts";

Deno.test("virsh is told what happens to a pool, in its order", async () => {
  await using peer = await StoragePeer.start("ours");
  const told = (event: string) => `${peer.directory}/${event}`;
  const events = ["lifecycle", "refresh"];
  for (const event of events) {
    const virsh = `virsh -q -c storage:///system pool-event --loop --event ${event} >${told(event)} 2>&1 &`;
    await runOk(peer, ["sh", "-c", virsh]);
  }
  await until("both to be registered", async () => {
    const metrics = await runOk(peer, [OUR_STORAGE_DAEMON, "metrics"]);
    return /^virtstoraged_calls_total\{procedure="[^"]*EventRegisterAny"\} 2$/m.test(metrics);
  });
  await peer.virsh("pool-define-as", "p", "dir", "--target", `${peer.directory}/p`);
  await peer.virsh("pool-build", "p");
  await peer.virsh("pool-start", "p");
  await peer.virsh("pool-refresh", "p");
  await peer.virsh("pool-destroy", "p");
  await peer.virsh("pool-delete", "p");
  await peer.virsh("pool-undefine", "p");
  const lines = async (event: string) =>
    (await Deno.readTextFile(told(event))).split("\n").filter((line) => line !== "");
  await until("the last event", async () => (await lines("lifecycle")).length >= 6);
  assert.deepEqual(
    await lines("lifecycle"),
    ["Defined", "Created", "Started", "Stopped", "Deleted", "Undefined"].map((what) =>
      `event 'lifecycle' for storage pool p: ${what}`
    ),
  );
  assert.deepEqual(await lines("refresh"), ["event 'refresh' for storage pool p"]);
});
