import assert from "node:assert/strict";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { decodeSession } from "../../src/lockd/cluster/keys/session_record.ts";
import type { PlayedEtcd } from "../cluster_model/played_etcd.ts";
import { Holder } from "../support/holder.ts";
import { refusal, untilGranted } from "../support/lock_refusal.ts";
import { locksOf, openedCluster, PlayedHost } from "../support/played_host.ts";
import { reExec } from "../support/re_exec.ts";
import { until } from "../support/until.ts";

// Whole daemons and commands of a cluster whose etcd is played: docs/cluster-etcd.md, "Another lock
// directory".

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
/** Of a host that is to refuse something for as long as it is no member. */
const IMPATIENT = "storage_timeout = 3\ncluster_wait = 60";

Deno.test("a lock directory is added while guests run: no host locks there for all before each has put in what it has", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using b = await PlayedHost.start(etcd, "b", undefined, IMPATIENT);
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
  a.configure(a.spaces, IMPATIENT);
  await reExec(a.daemon);
  const alone =
    /the other hosts lock scsi for the cluster, and this one leases, scsi: .*open --expect HOST,\.\.\. --directories'/;
  await a.daemon.log.match(alone);
  assert.match(await refusal(nextA.acquire(a.spaces.leases, "third", AUTOCREATE)), alone);
  await untilGranted(() => nextB.acquire(b.spaces.scsi, "other", AUTOCREATE));
  const unnamed = await a.command("open", "--expect", "a", "--directories");
  assert.equal(unnamed.code, 1);
  assert.match(unnamed.stderr, /\(id b\): of the cluster, and not named\. Name every host with --expect/);
  assert.equal((await b.shown()).state, "live");
  await until("host a to have put in what it has", async () => {
    const early = await a.command("open", "--expect", "a,b", "--directories", "--wait", "1");
    assert.equal(early.code, 1, early.stderr);
    return early.stderr.includes("The cluster is not open yet: it waits for b. It opens by itself");
  });
  const awaited = /it waits for b: .* has changed its directories from scsi to leases, scsi\)/;
  await until("host a to know who is waited for", async () => {
    return awaited.test(await refusal(nextA.acquire(a.spaces.leases, "third", AUTOCREATE)));
  });
  assert.match(
    await refusal(nextB.acquire(b.spaces.scsi, "more", AUTOCREATE)),
    /the other hosts lock leases, scsi for the cluster, and this one scsi/,
  );
  b.configure(b.spaces);
  await reExec(b.daemon);
  await b.daemon.log.match(/'both' .* is not granted by the cluster: another host of the cluster holds it/);
  for (const host of [a, b]) {
    await until("both to be members", async () => (await host.shown()).state === "live");
  }
  assert.equal(locksOf(etcd), "leases/both,leases/second,scsi/disk,scsi/other");
  assert.match(
    await refusal(nextA.acquire(a.spaces.leases, "second", AUTOCREATE)),
    new RegExp(`'second' is locked by domain '${onB.owner.name}' .* on host '`),
  );
  await untilGranted(() => nextA.acquire(a.spaces.leases, "third", AUTOCREATE));
  assert.match(await refusal(nextB.acquire(b.spaces.leases, "third", AUTOCREATE)), /on host '/);
  const again = await b.command("open", "--expect", "a,b", "--directories");
  assert.deepEqual([again.code, again.stdout, again.stderr], [0, "The cluster is open.\n", ""]);
});

Deno.test("SIGHUP has a host tell all what has to be known to fence it, and it is a member as before", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using holder = await Holder.start(a.daemon);
  const told = () => {
    const [key = "", ...others] = etcd.keys(new ClusterKeys("test").sessions);
    assert.equal(others.length, 0);
    return decodeSession({ key, value: etcd.get(key) ?? "", changedAt: 1 }).data;
  };
  assert.equal(told(), undefined);
  a.configure({ scsi: a.spaces.scsi }, 'cluster_fence_data = "ip=10.0.0.7"\n');
  a.daemon.signal("SIGHUP");
  await until("all to be told", () => told() === "ip=10.0.0.7");
  a.configure({ scsi: a.spaces.scsi });
  a.daemon.signal("SIGHUP");
  await until("it to be taken back", () => told() === undefined);
  await until("the host to be a member", async () => (await a.shown()).state === "live");
  await holder.acquire(a.spaces.scsi, "disk", AUTOCREATE);
  assert.equal(locksOf(etcd), "scsi/disk");
});

/** A host that waits so many seconds for etcd, with two guests. */
async function impatient(etcd: PlayedEtcd, seconds: number) {
  await using stack = new AsyncDisposableStack();
  const chosen = ({ scsi }: PlayedHost["spaces"]) => ({ scsi });
  const host = stack.use(await PlayedHost.start(etcd, "a", chosen, `storage_timeout = ${seconds}\n`));
  const guests = [
    stack.use(await Holder.start(host.daemon)),
    stack.use(await Holder.start(host.daemon)),
  ] as const;
  const kept = stack.move();
  /** Has a guest ask for the disk. @returns the refusal, and whether it came before a question's own limit */
  const ask = async (guest: Holder) => {
    const begun = performance.now();
    const text = await refusal(guest.acquire(host.spaces.scsi, "disk", AUTOCREATE));
    return [text, performance.now() - begun < 4000];
  };
  return { host, guests, ask, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

Deno.test("with storage_timeout = 1 a lock that etcd grants too late is refused in time, and given back", async () => {
  const etcd = openedCluster("scsi");
  await using stage = await impatient(etcd, 1);
  const { host, guests: [first, second], ask } = stage;
  host.links.late = true;
  const refused = "internal error: Unable to acquire lock on resource " + `${host.spaces.scsi}/disk: `;
  assert.deepEqual(await ask(first), [`${refused}etcd has not answered within storage_timeout`, true]);
  assert.deepEqual(await ask(second), [
    `${refused}what was begun with it before, as its release, has not come to its end`,
    true,
  ]);
  await until("etcd to have it", () => locksOf(etcd) === "scsi/disk");
  host.links.late = false;
  await until("it to be given back", () => locksOf(etcd) === "");
  // A short limit is the guest's: the link has its own, and is not taken for one that hangs.
  assert.equal(host.links.started, 1);
  await until("the host to be a member", async () => (await host.shown()).state === "live");
  await second.acquire(host.spaces.scsi, "disk", AUTOCREATE);
  assert.equal((await host.shown()).locks, "disk held");
});

Deno.test("with storage_timeout = 2 a lock is refused in time by a host whose link hangs", async () => {
  const etcd = openedCluster("scsi");
  await using stage = await impatient(etcd, 2);
  const { host, guests: [first, second], ask } = stage;
  host.links.silent = true;
  const text = "internal error: Unable to acquire lock on resource " +
    `${host.spaces.scsi}/disk: etcd has not answered within storage_timeout`;
  assert.deepEqual(await ask(first), [text, true]);
  host.links.silent = false;
  await until("another link", () => host.links.started === 2);
  await until("the host to be a member", async () => (await host.shown()).state === "live");
  await second.acquire(host.spaces.scsi, "disk", AUTOCREATE);
  assert.equal(locksOf(etcd), "scsi/disk");
});
