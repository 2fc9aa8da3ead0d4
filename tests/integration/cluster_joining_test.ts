import assert from "node:assert/strict";
import { PlayedGuest } from "../support/played_guest.ts";
import { holderOf, openedCluster, PlayedHost } from "../support/played_host.ts";

Deno.test("a guest that was paused before its host joined is told of who had its disk, and one that was resumed has its lock", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.startAlone(etcd, "a");
  await using resumed = await PlayedGuest.start(a);
  await using paused = await PlayedGuest.start(a);
  for (const [guest, disk] of [[resumed, "first"], [paused, "second"], [paused, "third"]] as const) {
    assert.equal(await guest.acquire(disk), "granted");
    assert.equal(await guest.release(disk), "released");
  }
  assert.equal(await resumed.acquire("first"), "granted");
  await a.join();
  assert.equal(holderOf(etcd, "first"), resumed.pid);
  await using b = await PlayedHost.start(etcd, "b", undefined, "storage_timeout = 60\n");
  await using other = await PlayedGuest.start(b);
  assert.equal(await other.acquire("second"), "granted");
  assert.equal(await other.release("second"), "released");
  // Another host has had its disk, and has given it back.
  assert.match(await paused.acquire("second"), /was in use by domain '.*' .* on host '.*' while domain/);
  assert.equal(await paused.acquire("third"), "granted");
});
