import assert from "node:assert/strict";
import { Holder } from "../support/holder.ts";
import { refusal } from "../support/lock_refusal.ts";
import { locksOf, openedCluster, PlayedHost } from "../support/played_host.ts";
import { reExec } from "../support/re_exec.ts";
import { until } from "../support/until.ts";

// Whole daemons and commands of a cluster whose etcd is played: docs/cluster-etcd.md, "Another lock
// directory".

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
/** Longer than anything here may take, in ms. */
const PATIENCE = 60_000;

Deno.test("a lock directory is added while guests run: no host locks there for all before each has put in what it has", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using b = await PlayedHost.start(etcd, "b");
  await using onA = await Holder.start(a.daemon);
  await using onB = await Holder.start(b.daemon);
  await using nextA = await Holder.start(a.daemon);
  await using nextB = await Holder.start(b.daemon);
  await onA.acquire(a.spaces.scsi, "disk", AUTOCREATE);
  await onA.acquire(a.spaces.leases, "both", AUTOCREATE);
  await onB.acquire(b.spaces.leases, "both", AUTOCREATE);
  await onB.acquire(b.spaces.leases, "second", AUTOCREATE);
  assert.equal(locksOf(etcd), "scsi/disk");
  // The first host that comes with it is not admitted, and the others go on.
  a.configure(a.spaces);
  await reExec(a.daemon);
  const alone =
    /the other hosts lock scsi for the cluster, and this one leases, scsi: .*open --expect HOST,\.\.\. --directories'/;
  await a.daemon.log.match(alone);
  assert.match(await refusal(nextA.acquire(a.spaces.leases, "third", AUTOCREATE)), alone);
  await nextB.acquire(b.spaces.scsi, "other", AUTOCREATE);
  const unnamed = await a.command("open", "--expect", "a", "--directories");
  assert.equal(unnamed.code, 1);
  assert.match(unnamed.stderr, /\(id b\): of the cluster, and not named\. Name every host with --expect/);
  assert.equal((await b.shown()).state, "live");
  const early = await a.command("open", "--expect", "a,b", "--directories", "--wait", "3");
  assert.equal(early.code, 1);
  assert.match(early.stderr, /The cluster is not open yet: it waits for b\. It opens by itself/);
  assert.match(
    await refusal(nextA.acquire(a.spaces.leases, "third", AUTOCREATE)),
    /it waits for b: .* has changed its directories from scsi to leases, scsi\)/,
  );
  assert.match(
    await refusal(nextB.acquire(b.spaces.scsi, "more", AUTOCREATE)),
    /the other hosts lock leases, scsi for the cluster, and this one scsi/,
  );
  b.configure(b.spaces);
  await reExec(b.daemon);
  await b.daemon.log.match(/'both' .* is not granted by the cluster: another host of the cluster holds it/);
  for (const host of [a, b]) {
    await until("both to be members", async () => (await host.shown()).state === "live", PATIENCE);
  }
  assert.equal(locksOf(etcd), "leases/both,leases/second,scsi/disk,scsi/other");
  assert.match(
    await refusal(nextA.acquire(a.spaces.leases, "second", AUTOCREATE)),
    new RegExp(`'second' is locked by domain '${onB.owner.name}' .* on host '`),
  );
  await nextA.acquire(a.spaces.leases, "third", AUTOCREATE);
  assert.match(await refusal(nextB.acquire(b.spaces.leases, "third", AUTOCREATE)), /on host '/);
  const again = await b.command("open", "--expect", "a,b", "--directories");
  assert.deepEqual([again.code, again.stdout, again.stderr], [0, "The cluster is open.\n", ""]);
});
