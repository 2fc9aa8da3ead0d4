import assert from "node:assert/strict";
import { Holder } from "../support/holder.ts";
import { LockClient } from "../support/lock_client.ts";
import { refusal } from "../support/lock_refusal.ts";
import { locksOf, openedCluster, PlayedHost } from "../support/played_host.ts";
import { reExec } from "../support/re_exec.ts";
import { until } from "../support/until.ts";

// Whole daemons and commands of a cluster whose etcd is played, and guests that end there:
// docs/cluster-etcd.md, "Another lock directory" and "The database is full".

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
const FULL = /etcd is full: .*database space exceeded \(docs\/cluster-etcd\.md says how to make room\)/;

Deno.test("a lock directory is taken out when nobody has any lock and each host has left, and not before", async () => {
  const etcd = openedCluster("leases", "scsi");
  await using a = await PlayedHost.start(etcd, "a", (spaces) => spaces);
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.spaces.scsi, "disk", AUTOCREATE);
  a.configure({ scsi: a.spaces.scsi });
  await reExec(a.daemon);
  await using next = await Holder.start(a.daemon);
  assert.match(
    await refusal(next.acquire(a.spaces.scsi, "other", AUTOCREATE)),
    /'leases=.*' in cluster_lockspaces is the cluster's since this host joined it/,
  );
  const used = await a.command("open", "--expect", "a", "--directories");
  assert.equal(used.code, 1);
  assert.match(
    used.stderr,
    /leases: of the cluster, and not in virtlockd\.conf here\. .* nobody has any lock of the cluster's, and there are 1$/m,
  );
  await guest.kill();
  await until("its lock to go", () => locksOf(etcd) === "");
  const left = await a.command("leave", "a");
  assert.equal(left.code, 0, left.stderr);
  await until("it to notice", async () => (await a.shown()).state === "lost");
  const nothing = await a.command("fence", "a", "--yes");
  assert.deepEqual(
    [nothing.code, nothing.stdout],
    [0, "Host 'a' has left the cluster, and has no lock there: nothing is to be fenced.\n"],
    nothing.stderr,
  );
  await reExec(a.daemon);
  await a.daemon.log.match(/the other hosts lock leases, scsi for the cluster, and this one scsi/);
  const opened = await a.command("open", "--expect", "a", "--directories");
  assert.deepEqual([opened.code, opened.stdout], [0, "The cluster is open.\n"], opened.stderr);
  await until("it to be a member", async () => (await a.shown()).state === "live");
  await next.acquire(a.spaces.scsi, "other", AUTOCREATE);
  assert.equal(locksOf(etcd), "scsi/other");
});

Deno.test("a lock that is released by force while its host lives comes back, and the command says so", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.spaces.scsi, "disk", AUTOCREATE);
  const released = await a.command("release", "disk", "--force", "--yes");
  assert.match(
    released.stdout,
    /^Released: scsi\/disk, .* \(live\)\nIts host lives: if its daemon still has the lock, and no other host by then, it puts it back before long\.\n.*'virtlockd release'\.\n$/,
  );
  assert.deepEqual([released.code, released.stderr], [0, ""]);
  await until("the lock to be back", () => locksOf(etcd) === "scsi/disk");
  await a.daemon.log.match(
    /Somebody has changed \/virtlockd\/test\/lock\/scsi\/disk in etcd by hand\. It is as it was/,
  );
});

Deno.test("while etcd is full guests end, a host that is in no doubt gives locks back, and one that is waits for room", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using b = await PlayedHost.start(etcd, "b");
  await using first = await Holder.start(a.daemon);
  await using second = await Holder.start(a.daemon);
  await using next = await Holder.start(b.daemon);
  await first.acquire(a.spaces.scsi, "disk1", AUTOCREATE);
  await second.acquire(a.spaces.scsi, "disk2", AUTOCREATE);
  await second.acquire(a.spaces.scsi, "disk3", AUTOCREATE);
  for (const { links } of [a, b]) links.full = true;
  assert.match(await refusal(next.acquire(b.spaces.scsi, "disk4", AUTOCREATE)), FULL);
  await first.kill();
  await until("the lock to go", () => locksOf(etcd) === "scsi/disk2,scsi/disk3");
  assert.equal((await a.shown()).state, "live");
  // It misses an answer, and has to make certain what has come of what it had asked.
  a.links.silent = true;
  await until("host a to be in doubt", async () => (await a.shown()).state === "unsure");
  a.links.silent = false;
  await until("it to say what keeps it so", async () => FULL.test((await a.shown()).reason));
  assert.equal((await a.shown()).state, "unsure");
  // Its guest lets a disk go, and ends: that waits for nothing.
  await using libvirtd = await LockClient.connect(a.daemon.socket);
  await libvirtd.register(second.owner);
  await libvirtd.release(a.spaces.scsi, "disk3");
  await second.kill();
  await until("its locks to be given back", async () => {
    return (await a.shown()).locks === "disk2 releasing,disk3 releasing";
  });
  assert.equal(locksOf(etcd), "scsi/disk2,scsi/disk3");
  const fenced = await b.command("fence", "a", "--yes", "--dead");
  assert.equal(fenced.code, 2);
  assert.match(fenced.stderr, FULL);
  const released = await b.command("release", "disk3", "--force", "--yes");
  assert.deepEqual([released.code, locksOf(etcd)], [0, "scsi/disk2"]);
  for (const { links } of [a, b]) links.full = false;
  await until("host a to have nothing any more", async () => {
    const { state, locks } = await a.shown();
    return state === "live" && locks === "" && locksOf(etcd) === "";
  });
  await next.acquire(b.spaces.scsi, "disk2", AUTOCREATE);
  assert.equal(locksOf(etcd), "scsi/disk2");
});
