import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { OrphanHolders } from "../../../../src/lockd/journal/orphan_holders.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";

Deno.test("OrphanHolders tells when the process of an orphan has ended, and closes its pidfd", async () => {
  const loop = new EventLoop(kernel);
  const ledger = new DescriptorLedger(kernel);
  const gone: number[] = [];
  const orphans = new OrphanHolders(loop, ledger, (pid) => gone.push(pid));
  const child = new Deno.Command("sleep", { args: ["1000"], stdin: "null" }).spawn();
  const pidfd = kernel.pidfdOpen(child.pid);
  orphans.watch({ pid: child.pid, start: 1 }, pidfd);
  loop.turn(0);
  assert.deepEqual(gone, []);
  assert.deepEqual(orphans.all, [{ pid: child.pid, start: 1 }]);
  child.kill("SIGKILL");
  await child.status;
  loop.turn(1000);
  assert.deepEqual(gone, [child.pid]);
  assert.deepEqual(orphans.all, []);
  assert.equal(ledger.size, 0);
  loop.close();
});
