import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { LockClient } from "../support/lock_client.ts";
import { refusal } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";

// Hosts of a cluster whose etcd is full, a real one: docs/cluster-etcd.md, "The database is full".

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
const FULL = /etcd is full: .*database space exceeded \(docs\/cluster-etcd\.md says how to make room\)/;

/** Names of the locks that etcd has. */
async function locksOf(etcd: Etcd): Promise<string> {
  const keys = [...(await etcd.keys("/virtlockd/test/lock/")).keys()];
  return keys.map((key) => key.slice("/virtlockd/test/lock/scsi/".length)).join();
}

/** What a host says of its membership, and of each of its locks. */
async function shown({ daemon }: ClusterHost) {
  const status: { sections: { cluster: { state: string; reason?: string } } } = JSON.parse(
    (await daemon.command("status", "--json")).stdout,
  );
  const locks: { resource: string; state: string }[] = JSON.parse(
    (await daemon.command("locks", "--json")).stdout,
  );
  const { state, reason = "" } = status.sections.cluster;
  return { state, reason, locks: locks.map(({ resource, state }) => `${resource} ${state}`).sort().join() };
}

Deno.test("while etcd is full guests end, a host that is in no doubt gives locks back, and one that is waits for room", async () => {
  await using etcd = await Etcd.start(1, "memory", "small");
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using first = await Holder.start(a.daemon);
  await using second = await Holder.start(a.daemon);
  await using next = await Holder.start(b.daemon);
  await first.acquire(a.space, "disk1", AUTOCREATE);
  await second.acquire(a.space, "disk2", AUTOCREATE);
  await second.acquire(a.space, "disk3", AUTOCREATE);
  await etcd.fill();
  assert.match(await refusal(next.acquire(b.space, "disk4", AUTOCREATE)), FULL);
  await first.kill();
  await until("the lock to go", async () => await locksOf(etcd) === "disk2,disk3");
  assert.equal((await shown(a)).state, "live");
  // It misses an answer, and has to make certain what has come of what it had asked.
  etcd.stop();
  await until("host a to be in doubt", async () => (await shown(a)).state === "unsure");
  etcd.resume();
  await until("it to say what keeps it so", async () => FULL.test((await shown(a)).reason));
  assert.equal((await shown(a)).state, "unsure");
  // Its guest lets a disk go, and ends: that waits for nothing.
  await using libvirtd = await LockClient.connect(a.daemon.socket);
  await libvirtd.register(second.owner);
  await libvirtd.release(a.space, "disk3");
  await second.kill();
  await until("its locks to be given back", async () => {
    return (await shown(a)).locks === "disk2 releasing,disk3 releasing";
  });
  assert.equal(await locksOf(etcd), "disk2,disk3");
  const fenced = await b.command("fence", "a", "--yes", "--dead");
  assert.equal(fenced.code, 2);
  assert.match(fenced.stderr, FULL);
  const released = await b.command("release", "disk3", "--force", "--yes");
  assert.deepEqual([released.code, await locksOf(etcd)], [0, "disk2"]);
  await etcd.makeRoom();
  await until("the locks to go", async () => await locksOf(etcd) === "");
  await until("host a to have none any more", async () => {
    const { state, locks } = await shown(a);
    return state === "live" && locks === "";
  });
  await next.acquire(b.space, "disk2", AUTOCREATE);
  assert.equal(await locksOf(etcd), "disk2");
});
