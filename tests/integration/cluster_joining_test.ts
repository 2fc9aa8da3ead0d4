import assert from "node:assert/strict";
import { LockClient } from "../support/lock_client.ts";
import { refusalOf } from "../support/lock_refusal.ts";
import { PlayedGuest } from "../support/played_guest.ts";
import { holderOf, openedCluster, PlayedHost } from "../support/played_host.ts";
import { until } from "../support/until.ts";

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;

Deno.test("a guest that was paused before its host joined is told of who had its disk, one that was resumed has its lock, and one that got some of its disks again gets these", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.startAlone(etcd, "a");
  await using resumed = await PlayedGuest.start(a);
  await using paused = await PlayedGuest.start(a);
  await using half = await PlayedGuest.start(a);
  await using beside = await PlayedGuest.start(a);
  for (
    const [guest, disk] of [
      [resumed, "first"],
      [paused, "second"],
      [paused, "third"],
      [half, "got"],
      [half, "used"],
      [half, "refused"],
    ] as const
  ) {
    assert.equal(await guest.acquire(disk), "granted");
    assert.equal(await guest.release(disk), "released");
  }
  assert.equal(await resumed.acquire("first"), "granted");
  assert.equal(await beside.acquire("refused"), "granted");
  const clients = async () => (await a.daemon.command("clients")).stdout.trim().split("\n").length;
  const ask = (libvirtd: LockClient, disk: string) =>
    refusalOf(libvirtd.acquire(a.spaces.scsi, disk, AUTOCREATE));
  let before: number;
  {
    await using resuming = await LockClient.connect(a.socket);
    await resuming.register(half.owner);
    for (const disk of ["attached", "got", "used"]) assert.equal(await ask(resuming, disk), undefined);
    assert.match(await ask(resuming, "refused") ?? "", /is locked by domain/);
    before = await clients();
  }
  await until("the end of that connection to be known", async () => await clients() < before);
  await a.join();
  assert.equal(holderOf(etcd, "first"), resumed.pid);
  await using b = await PlayedHost.start(etcd, "b");
  await using other = await PlayedGuest.start(b);
  for (const disk of ["second", "used"]) {
    assert.equal(await other.acquire(disk), "granted");
    assert.equal(await other.release(disk), "released");
  }
  // Another host has had its disk, and has given it back.
  const used = new RegExp(`was in use by domain '${other.owner.name}' .* on host '.*' while domain`);
  assert.match(await paused.acquire("second"), used);
  assert.equal(await paused.acquire("third"), "granted");
  await using resuming = await LockClient.connect(a.socket);
  await resuming.register(half.owner);
  for (const disk of ["attached", "got"]) assert.equal(await ask(resuming, disk), undefined);
  assert.match(await ask(resuming, "used") ?? "", used);
});
