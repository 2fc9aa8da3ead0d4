import assert from "node:assert/strict";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { encodeRecord } from "../../src/lockd/cluster/keys/records.ts";
import { decodeSession } from "../../src/lockd/cluster/keys/session_record.ts";
import type { PlayedEtcd } from "../cluster_model/played_etcd.ts";
import { PlayedGuest } from "../support/played_guest.ts";
import { holderOf, keysOf, openedCluster, PlayedHost } from "../support/played_host.ts";
import { isFree } from "../support/kernel.ts";
import { LockClient } from "../support/lock_client.ts";
import { refusalOf } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
const KEYS = new ClusterKeys("test");
const FIRST = KEYS.exclusive({ space: "scsi", name: "first" });

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

Deno.test("a paused guest that got one of its disks only does not go on with it when its host was fenced and lives", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using paused = await PlayedGuest.start(a);
  await using beside = await PlayedGuest.start(a);
  for (const disk of ["first", "second"]) assert.equal(await paused.acquire(disk), "granted");
  for (const disk of ["first", "second"]) assert.equal(await paused.release(disk), "released");
  assert.equal(await beside.acquire("second"), "granted");
  const clients = async () => (await a.daemon.command("clients")).stdout.trim().split("\n").length;
  let before: number;
  {
    await using resuming = await LockClient.connect(a.socket);
    await resuming.register(paused.owner);
    const ask = (disk: string) => refusalOf(resuming.acquire(a.spaces.scsi, disk, AUTOCREATE));
    assert.equal(await ask("first"), undefined);
    assert.match(await ask("second") ?? "", /is locked by domain/);
    before = await clients();
  }
  await until("the end of that connection to be known", async () => await clients() < before);
  // Another host has had the disk, and has given it back.
  fence(etcd, "first", "gone");
  await until(
    "its guest to be marked",
    () => keysOf(etcd).some((each) => each.startsWith("paused/scsi/first/")),
  );
  assert.match(
    await paused.acquire("first"),
    /was in use by domain '\(not known any more\)' .* while domain '.*' .* was paused/,
  );
  assert.equal(holderOf(etcd, "first"), undefined);
});

Deno.test("a guest whose host's daemon is killed between two of its disks is not resumed over what another one has written", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.startManaged(etcd, "a", "storage_timeout = 60\n");
  await using b = await PlayedHost.start(etcd, "b");
  await using paused = await PlayedGuest.start(a);
  await using other = await PlayedGuest.start(b);
  for (const disk of ["first", "second"]) assert.equal(await paused.acquire(disk), "granted");
  for (const disk of ["first", "second"]) assert.equal(await paused.release(disk), "released");
  assert.equal(await other.acquire("second"), "granted");
  assert.equal(await other.release("second"), "released");
  assert.equal(await paused.acquire("first"), "granted");
  await a.manager.crash();
  // Who it was the daemon knows only if it was killed some seconds after its host had joined.
  assert.match(await paused.acquire("second"), /was in use by domain '.*' .* on host '.*' while domain/);
});

Deno.test("a guest that went on where it came from keeps its lock when its host was fenced and lives", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using b = await PlayedHost.start(etcd, "b");
  await using guest = await PlayedGuest.start(a);
  await using other = await PlayedGuest.start(b);
  await using target = await PlayedGuest.start(b, guest.owner);
  assert.equal(await other.acquire("second"), "granted");
  assert.equal(await guest.acquire("first"), "granted");
  assert.equal(await guest.release("first"), "released");
  assert.equal(await target.acquire("first"), "granted");
  assert.match(await target.acquire("second"), /is locked by domain/);
  await target.kill();
  await until("the source to go on", async () => await guest.acquire("first") === "granted");
  const before = etcd.get(FIRST);
  fence(etcd, "first");
  await until("its lock to be had in the next session", () => ![before, undefined].includes(etcd.get(FIRST)));
  assert.equal(holderOf(etcd, "first"), guest.pid);
  await until("it to be certain", async () => (await a.shown()).locks === "first held");
  assert.equal(isFree(`${a.spaces.scsi}/first`), false);
});

Deno.test("a disk that a guest lets go which went on where it came from is attached to it again, whoever had it meanwhile", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using b = await PlayedHost.start(etcd, "b");
  await using guest = await PlayedGuest.start(a);
  await using target = await PlayedGuest.start(b, guest.owner);
  await using other = await PlayedGuest.start(b);
  assert.equal(await other.acquire("third"), "granted");
  for (const disk of ["first", "second"]) assert.equal(await guest.acquire(disk), "granted");
  for (const disk of ["first", "second"]) assert.equal(await guest.release(disk), "released");
  assert.equal(await target.acquire("first"), "granted");
  assert.match(await target.acquire("third"), /is locked by domain/);
  await target.kill();
  await until("the source to go on", async () => await guest.acquire("first") === "granted");
  assert.equal(await guest.acquire("second"), "granted");
  assert.equal(await guest.release("second"), "released");
  assert.equal(await other.acquire("second"), "granted");
  assert.equal(await other.release("second"), "released");
  await using attaching = await LockClient.connect(a.socket);
  await attaching.register(guest.owner);
  assert.equal(await refusalOf(attaching.acquire(a.spaces.scsi, "second", AUTOCREATE)), undefined);
});

Deno.test("a paused guest whose disk its host knows by another name does not go on when that was fenced and lives", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using b = await PlayedHost.start(etcd, "b");
  await using paused = await PlayedGuest.start(a);
  await using other = await PlayedGuest.start(b);
  const link = `${a.spaces.scsi}-by-another-name`;
  Deno.symlinkSync(a.spaces.scsi, link);
  await using libvirtd = await LockClient.connect(a.socket);
  await libvirtd.register(paused.owner);
  await libvirtd.createLockspace(link);
  await using beside = await PlayedGuest.start(a);
  assert.equal(await beside.acquire("kept"), "granted");
  await libvirtd.acquire(link, "first", AUTOCREATE);
  await libvirtd.release(link, "first");
  assert.equal(await other.acquire("first"), "granted");
  assert.equal(await other.release("first"), "released");
  // The marks of its guests go with the locks of a host that is fenced.
  const deleted = etcd.keys("").filter((key) => key.includes("paused/scsi/first/"))
    .map((key) => ({ op: "delete", key } as const));
  assert.equal(deleted.length, 2);
  const transaction = { compare: [], success: deleted, failure: [] };
  etcd.apply({ kind: "transaction", transaction }, performance.now());
  fence(etcd, "kept");
  await a.daemon.log.match(/was fenced/);
  await until("it to be a member again", async () => (await a.shown()).state === "live");
  assert.match(
    await refusalOf(libvirtd.acquire(link, "first", AUTOCREATE)) ?? "granted",
    /was in use by domain '\(not known any more\)'/,
  );
});

/**
 * Somebody says that the host cannot write that has a disk.
 *
 * @param lock set when another host has taken the lock and given it back
 */
function fence(etcd: PlayedEtcd, disk: string, lock?: "gone"): void {
  const held = KEYS.exclusive({ space: "scsi", name: disk });
  const { session }: { session: string } = JSON.parse(etcd.get(held) ?? "");
  const key = KEYS.session(session);
  const record = decodeSession({ key, value: etcd.get(key) ?? "", changedAt: 0 });
  const value = encodeRecord({ ...record, fencing: { state: "fenced", by: "ann", from: "desk", at: 1 } });
  const gone = lock === undefined ? [] : [held, KEYS.own(session, held)];
  const success = [
    { op: "put", key, value } as const,
    ...gone.map((key) => ({ op: "delete", key } as const)),
  ];
  etcd.apply({ kind: "transaction", transaction: { compare: [], success, failure: [] } }, performance.now());
}
