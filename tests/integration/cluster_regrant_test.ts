import assert from "node:assert/strict";
import { PlayedGuest } from "../support/played_guest.ts";
import { openedCluster, PlayedHost } from "../support/played_host.ts";
import { isFree } from "../support/kernel.ts";
import { LockClient } from "../support/lock_client.ts";
import { refusalOf } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;

for (const starts of [false, true]) {
  Deno.test(`a paused guest ${starts ? "does not go on" : "goes on"} whose disk had one that was refused another disk and ${starts ? "started after all" : "never started"}`, async () => {
    const etcd = openedCluster("scsi");
    await using a = await PlayedHost.start(etcd, "a");
    await using b = await PlayedHost.start(etcd, "b");
    await using paused = await PlayedGuest.start(b);
    await using other = await PlayedGuest.start(b);
    await using started = await PlayedGuest.start(a);
    assert.equal(await other.acquire("second"), "granted");
    assert.equal(await paused.acquire("first"), "granted");
    assert.equal(await paused.release("first"), "released");
    assert.equal(await started.acquire("first"), "granted");
    assert.match(await started.acquire("second"), /is locked by domain/);
    // libvirt leaves its process to somebody who tries again.
    await started.disconnect();
    if (starts) {
      await using again = await LockClient.connect(a.socket);
      await again.register(started.owner);
      const first = () => refusalOf(again.acquire(a.spaces.scsi, "first", AUTOCREATE));
      await until("the end of the connection to be known", async () => await first() === undefined);
      await other.kill();
      const second = () => refusalOf(again.acquire(a.spaces.scsi, "second", AUTOCREATE));
      await until("the other disk to be had", async () => await second() === undefined);
    }
    await started.kill();
    await until("its locks to go", () => isFree(`${a.spaces.scsi}/first`));
    const answer = await paused.acquire("first");
    if (starts) assert.match(answer, /was in use by domain '.*' .* on host '.*' while domain/);
    else assert.equal(answer, "granted");
  });
}
