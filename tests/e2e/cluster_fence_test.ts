import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { refusal } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";

// Hosts of a cluster that are fenced, with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

const PAGE = "docs/cluster.md";
/** ACQUIRE_RESOURCE's flags: shared, and the file is made on demand. */
const SHARED = 1;
const AUTOCREATE = 2;

Deno.test("the locks of a host that is dead are another one's when somebody has fenced it, and not before", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using dead = await Holder.start(a.daemon);
  await dead.acquire(a.space, "disk", AUTOCREATE);
  await dead.acquire(a.space, "common", AUTOCREATE | SHARED);
  const alive = await b.command("fence", "a", "--yes");
  assert.match(
    alive.stderr,
    /'.*' has not been fenced: it lives, for it was heard of in etcd within the last 10 s/,
  );
  assert.equal(alive.code, 1);
  await a.daemon.kill();
  a.killLinks();
  await dead.kill();
  await using next = await Holder.start(b.daemon);
  await until(
    "a not to be heard of",
    async () => (await etcd.keys("/virtlockd/test/host/")).size === 1,
  );
  assert.match(
    await refusal(next.acquire(b.space, "disk", AUTOCREATE)),
    /locked by domain .* on host '(.*)', of which nothing is heard since \d{4}-.*Z or earlier: make sure that it is off and stays off, then free its locks: virtlockd cluster fence \1$/m,
  );
  const unasked = await b.command("fence", "a");
  assert.match(unasked.stderr, /Nothing was fenced: without a terminal to ask at, "--yes" is needed/);
  const fenced = await b.command("fence", "a", "--yes", "--json");
  assert.equal(fenced.stderr, "");
  const [{ host, freed }]: [{ host: string; freed: number }] = JSON.parse(fenced.stdout);
  assert.deepEqual([host, freed], ["a", 2]);
  await next.acquire(b.space, "disk", AUTOCREATE);
  await next.acquire(b.space, "common", AUTOCREATE);
  const hosts = await b.command("hosts", "--json");
  const listed: { host: string; state: string; fencing?: { by: string } }[] = JSON.parse(hosts.stdout);
  assert.deepEqual(
    new Map(listed.map(({ host, state }) => [host, state])),
    new Map([["a", "fenced"], ["b", "live"]]),
  );
  assert.notEqual(listed.find(({ host }) => host === "a")?.fencing?.by ?? "", "");
});

Deno.test("a host that objects is not fenced, and keeps its locks", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const [key = "", record = ""] = [...(await etcd.keys("/virtlockd/test/session/"))][0] ?? [];
  // It looks dead when its lease has gone; its daemon lives, and goes on.
  a.daemon.signal("SIGSTOP");
  await etcd.control("del", "/virtlockd/test/host/a");
  const fencing = a.command("fence", "a", "--yes");
  await until("it to be condemned", async () => {
    return ((await etcd.keys(key)).get(key) ?? "").includes('"condemned"');
  });
  a.daemon.signal("SIGCONT");
  const refused = await fencing;
  assert.match(
    refused.stderr,
    /'.*' has not been fenced: it lives, for its session in etcd was written anew/,
  );
  assert.equal(refused.code, 1);
  const now: { fencing?: unknown } = JSON.parse((await etcd.keys(key)).get(key) ?? "");
  assert.equal(now.fencing, undefined);
  assert.notEqual(JSON.stringify(now), record);
  await a.daemon.log.match(/was about to fence this host .*; it lives, and keeps its locks/);
  assert.deepEqual([...(await etcd.keys("/virtlockd/test/lock/")).keys()], [
    "/virtlockd/test/lock/scsi/disk",
  ]);
});

Deno.test("a host whose key somebody deletes by hand is heard of again in seconds", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  const key = `/virtlockd/test/host/${a.name}`;
  const before = await etcd.keys(key);
  await etcd.control("del", key);
  await until("it to be there again", async () => (await etcd.keys(key)).size === 1);
  assert.deepEqual(await etcd.keys(key), before);
});

Deno.test("a host that was fenced and lives takes what nobody else has, and marks the rest", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using first = await Holder.start(a.daemon);
  await first.acquire(a.space, "lost", AUTOCREATE);
  await using second = await Holder.start(a.daemon);
  await second.acquire(a.space, "free", AUTOCREATE);
  a.daemon.signal("SIGSTOP");
  const fenced = await b.command("fence", "a", "--yes", "--dead");
  assert.equal(fenced.code, 0, fenced.stderr);
  await using rival = await Holder.start(b.daemon);
  await rival.acquire(b.space, "lost", AUTOCREATE);
  a.daemon.signal("SIGCONT");
  await a.daemon.log.match(
    /This host was fenced by .*: its locks of the cluster's may be other hosts' by now/,
  );
  await until("it to have told what it has lost", async () => {
    const sessions = [...(await etcd.keys("/virtlockd/test/session/")).values()];
    return sessions.some((session) => session.includes('"lost":1'));
  });
  const { stdout } = await a.daemon.command("locks", "--json");
  const locks: { resource: string; state: string; reason?: string }[] = JSON.parse(stdout);
  assert.deepEqual(locks.map(({ resource, state }) => [resource, state]), [["free", "held"], [
    "lost",
    "doubtful",
  ]]);
  assert.match(
    locks[1]?.reason ?? "",
    /another host of the cluster holds it, which this one has lost when it was fenced/,
  );
  assert.match(await refusal(rival.acquire(b.space, "free", AUTOCREATE)), new RegExp(`pid ${second.pid}\\)`));
  const lives = await b.command("fence", "a", "--yes");
  assert.match(lives.stderr, /it lives, for it was heard of .* What it had before was fenced already/);
  // As long as that guest lives nobody's word ends the new session by the way.
  a.daemon.signal("SIGSTOP");
  await until(
    "a not to be heard of",
    async () => (await etcd.keys("/virtlockd/test/host/")).size === 1,
  );
  const again = await b.command("fence", "a", "--yes");
  assert.match(again.stderr, /its guests have lost 1 lock when it was fenced before, and were not gone yet/);
  a.daemon.signal("SIGCONT");
  await first.kill();
  await until("it to have told that the guest is gone", async () => {
    const sessions = [...(await etcd.keys("/virtlockd/test/session/")).values()];
    return !sessions.some((session) => session.includes('"lost"'));
  });
  assert.equal((await etcd.keys("/virtlockd/test/lock/")).size, 2);
});

Deno.test("a host is fenced by hand as the page about clusters has it", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await a.daemon.kill();
  const [key = ""] = [...(await etcd.keys("/virtlockd/test/session/")).keys()];
  const { kvs: [session] }: { kvs: [{ mod_revision: number }] } = JSON.parse(
    await etcd.control("get", key, "-w", "json"),
  );
  const page = Deno.readTextFileSync(`${import.meta.dirname}/../../${PAGE}`);
  const [, text = ""] = /etcdctl txn <<'END'\n(.*?)^ {4}END$/ms.exec(page) ?? [];
  const transaction = text.replaceAll(/^ {4}/gm, "").replaceAll("/virtlockd/prod/session/SID", key)
    .replace("REVISION", String(session.mod_revision));
  assert.match(await etcd.transact(transaction), /^SUCCESS\n/);
  await using b = await ClusterHost.start(etcd, "b");
  await using next = await Holder.start(b.daemon);
  await next.acquire(b.space, "disk", AUTOCREATE);
  assert.equal((await etcd.keys("/virtlockd/test/own/")).size, 1);
});

Deno.test("one lock of a host that is dead is freed by name or path, and a host that was fenced is removed", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  for (const name of ["one", "two", "three"]) await guest.acquire(a.space, name, AUTOCREATE);
  const lives = await a.command("release", "one", "--yes");
  assert.match(
    lives.stderr,
    /Nothing was released: host '.*' lives, and has the lock for domain '.*'. End that guest/,
  );
  assert.equal(lives.code, 1);
  await a.daemon.kill();
  await etcd.control("del", "/virtlockd/test/host/a");
  const byName = await a.command("release", "one", "--yes", "--json");
  assert.equal(byName.stderr, "");
  const released: { name: string; pid: number } = JSON.parse(byName.stdout);
  assert.deepEqual([released.name, released.pid], ["one", guest.pid]);
  const byPath = await a.command("release", `${a.space}/two`, "--yes");
  assert.match(
    byPath.stdout,
    /^Released: scsi\/two, exclusive, of domain '.*' .* on host '.*' \(silent\)\n$/,
  );
  assert.match(
    (await a.command("release", "two", "--yes")).stderr,
    /There is no lock on two in the cluster/,
  );
  assert.match(
    (await a.command("release", "two", "--host", "nobody", "--yes")).stderr,
    /There is no lock on two of host 'nobody' in the cluster/,
  );
  assert.deepEqual([...(await etcd.keys("/virtlockd/test/lock/")).keys()], [
    "/virtlockd/test/lock/scsi/three",
  ]);
  const standing = await a.command("remove", "a");
  assert.match(
    standing.stderr,
    /'.*' has not been removed: its session .* is silent. .*virtlockd cluster fence /,
  );
  assert.equal((await a.command("fence", "a", "--yes", "--dead")).code, 0);
  assert.equal((await a.command("remove", "a")).code, 0);
  assert.equal((await a.command("hosts")).stdout, "No hosts.\n");
  assert.equal((await etcd.keys("/virtlockd/test/own/")).size, 0);
  // It comes back all the same, and is a member like any other.
  await a.startDaemon();
  await until("its guest's locks to be there again", async () => {
    return (await etcd.keys("/virtlockd/test/session/")).size === 2;
  });
  const hosts: { state: string }[] = JSON.parse((await a.command("hosts", "--json")).stdout);
  assert.deepEqual(hosts.map(({ state }) => state), ["live"]);
});
