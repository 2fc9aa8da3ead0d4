import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { refusal, untilGranted } from "../support/lock_refusal.ts";
import { reExec } from "../support/re_exec.ts";
import { until } from "../support/until.ts";

// Lock directories of a cluster that are changed, with a real etcd: docs/cluster-etcd.md, "Another lock
// directory".

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;

/** Who is not admitted is waited for as long. */
const SETTINGS = "storage_timeout = 8";

/** Names of the locks that etcd has. */
async function locksOf(etcd: Etcd): Promise<string> {
  const keys = [...(await etcd.keys("/virtlockd/test/lock/")).keys()];
  return keys.map((key) => key.slice("/virtlockd/test/lock/".length)).join();
}

/** Another lock directory of a host, which is that one's alone so far. */
async function anotherSpace({ place, daemon }: ClusterHost): Promise<string> {
  const space = place.makeDirectory("leases");
  await using libvirtd = await LockClient.connect(daemon.socket);
  await libvirtd.register(testOwner(1));
  await libvirtd.createLockspace(space);
  return space;
}

async function stateOf({ daemon }: ClusterHost): Promise<string> {
  const { stdout } = await daemon.command("status", "--json");
  const status: { sections: { cluster: { state: string } } } = JSON.parse(stdout);
  return status.sections.cluster.state;
}

Deno.test("a lock directory is added while guests run: no host locks there for all before each has put in what it has", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { settings: SETTINGS });
  await using b = await ClusterHost.start(etcd, "b", { settings: SETTINGS });
  const leases = { a: await anotherSpace(a), b: await anotherSpace(b) };
  await using onA = await Holder.start(a.daemon);
  await using onB = await Holder.start(b.daemon);
  await using nextA = await Holder.start(a.daemon);
  await using nextB = await Holder.start(b.daemon);
  await onA.acquire(a.space, "disk", AUTOCREATE);
  await onA.acquire(leases.a, "both", AUTOCREATE);
  await onB.acquire(leases.b, "both", AUTOCREATE);
  await onB.acquire(leases.b, "second", AUTOCREATE);
  assert.equal(await locksOf(etcd), "scsi/disk");
  // The first host that comes with it is not admitted, and the others go on.
  a.configure(a.space, { leases: leases.a });
  await reExec(a.daemon);
  const alone =
    /the other hosts lock scsi for the cluster, and this one leases, scsi: .* open --expect HOST,\.\.\. --directories'/;
  await a.daemon.log.match(alone);
  assert.match(await refusal(nextA.acquire(leases.a, "third", AUTOCREATE)), alone);
  await untilGranted(() => nextB.acquire(b.space, "other", AUTOCREATE));
  const unnamed = await a.command("open", "--expect", "a", "--directories");
  assert.equal(unnamed.code, 1);
  assert.match(unnamed.stderr, /\(id b\): of the cluster, and not named\. Name every host with --expect/);
  assert.equal(await stateOf(b), "live");
  await until("host a to have put in what it has", async () => {
    const early = await a.command("open", "--expect", "a,b", "--directories", "--wait", "1");
    assert.equal(early.code, 1, early.stderr);
    return early.stderr.includes("The cluster is not open yet: it waits for b. It opens by itself");
  });
  const awaited = /waits for b: .* has changed its directories from scsi to leases, scsi\)/;
  await until("host a to know who is waited for", async () => {
    return awaited.test(await refusal(nextA.acquire(leases.a, "third", AUTOCREATE)));
  });
  assert.match(
    await refusal(nextB.acquire(b.space, "more", AUTOCREATE)),
    /the other hosts lock leases, scsi for the cluster, and this one scsi/,
  );
  b.configure(b.space, { leases: leases.b });
  await reExec(b.daemon);
  await b.daemon.log.match(/'both' .* is not granted by the cluster: another host of the cluster holds it/);
  for (const host of [a, b]) {
    await until("both to be members", async () => await stateOf(host) === "live");
  }
  assert.equal(await locksOf(etcd), "leases/both,leases/second,scsi/disk,scsi/other");
  assert.match(
    await refusal(nextA.acquire(leases.a, "second", AUTOCREATE)),
    new RegExp(`'second' is locked by domain '${onB.owner.name}' .* on host '`),
  );
  await untilGranted(() => nextA.acquire(leases.a, "third", AUTOCREATE));
  assert.match(await refusal(nextB.acquire(leases.b, "third", AUTOCREATE)), /on host '/);
  const again = await b.command("open", "--expect", "a,b", "--directories");
  assert.deepEqual([again.code, again.stdout, again.stderr], [0, "The cluster is open.\n", ""]);
});

Deno.test("a lock directory is taken out when nobody has any lock and each host has left, and not before", async () => {
  await using etcd = await Etcd.start();
  await etcd.openCluster("test", ["leases", "scsi"]);
  await using a = await ClusterHost.create(etcd, "a");
  a.configure(a.space, { leases: a.place.makeDirectory("leases") });
  await a.startDaemon();
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  a.configure();
  await reExec(a.daemon);
  await using next = await Holder.start(a.daemon);
  assert.match(
    await refusal(next.acquire(a.space, "other", AUTOCREATE)),
    /'leases=.*' in cluster_lockspaces is the cluster's since this host joined it/,
  );
  const used = await a.command("open", "--expect", "a", "--directories");
  assert.equal(used.code, 1);
  assert.match(
    used.stderr,
    /leases: of the cluster, and not in virtlockd\.conf here\. .* nobody has any lock of the cluster's, and there are 1$/m,
  );
  await guest.kill();
  await until("its lock to go", async () => await locksOf(etcd) === "");
  const left = await a.command("leave", "a");
  assert.equal(left.code, 0, left.stderr);
  // A reload before it has heard of that would find it out, and need another one.
  await a.daemon.log.match(/This host is no member of its cluster any more/);
  await reExec(a.daemon);
  await a.daemon.log.match(/the other hosts lock leases, scsi for the cluster, and this one scsi/);
  const opened = await a.command("open", "--expect", "a", "--directories");
  assert.deepEqual([opened.code, opened.stdout], [0, "The cluster is open.\n"], opened.stderr);
  await next.acquire(a.space, "other", AUTOCREATE);
  assert.equal(await locksOf(etcd), "scsi/other");
});
