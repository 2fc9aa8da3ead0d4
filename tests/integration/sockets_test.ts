import assert from "node:assert/strict";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { kernel } from "../support/kernel.ts";
import { reExec } from "../support/re_exec.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { until } from "../support/until.ts";

Deno.test("a socket whose path is deleted is listened on again, and clients that are connected stay", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  await using before = await AdminClient.connect(daemon.adminSocket);
  await before.connectOpen();
  for (const path of [daemon.adminSocket, daemon.socket]) {
    Deno.removeSync(path);
    await daemon.log.match(new RegExp(`warning : .*${path} no longer led here`));
  }
  await using after = await AdminClient.connect(daemon.adminSocket);
  await after.connectOpen();
  await before.listClients("admin");
  assert.equal((await daemon.command("status")).code, 0);

  await reExec(daemon);
  assert.equal((await daemon.command("status")).code, 0);
  assert.equal(await daemon.stop(), 0);
  assert.equal(kernel.access(daemon.adminSocket, 0), -2);
});

Deno.test("a socket that is listened on again outlives a crash", async () => {
  await using manager = await ServiceManager.start();
  const { adminSocket } = manager.place.paths;
  const again = () => manager.log.split("listening there again").length;
  for (let round = 0; round < 2; round++) {
    const before = again();
    Deno.removeSync(adminSocket);
    await until("a new socket", () => again() > before);
    await manager.crash();
    await using admin = await AdminClient.connect(adminSocket);
    await admin.connectOpen();
  }
});
