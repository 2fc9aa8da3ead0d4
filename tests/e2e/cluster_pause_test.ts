import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterGuest } from "../support/cluster_guest.ts";
import { ClusterHost, PATIENT } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { LockClient } from "../support/lock_client.ts";
import { refusal, refusalOf } from "../support/lock_refusal.ts";
import { reExec } from "../support/re_exec.ts";
import { until } from "../support/until.ts";

// Guests of a cluster that are paused, resumed and moved, on real daemons with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flags: shared, and the file is made on demand. */
const SHARED = 1;
const AUTOCREATE = 2;
const DISKS = Array.from({ length: 10 }, (_, index) => `disk${index}`);

/** Keys that etcd has of locks, paused guests and questions, below the cluster's prefix. */
async function keysOf(etcd: Etcd): Promise<string[]> {
  const keys = [...(await etcd.keys("/virtlockd/test/")).keys()].map((key) =>
    key.slice("/virtlockd/test/".length)
  );
  return keys.filter((key) => /^(lock|share|paused|own|want)\//.test(key));
}

/** How many connections a host's daemon has, that which asks among them. */
async function clientsOf({ daemon }: ClusterHost): Promise<number> {
  return (await daemon.command("clients")).stdout.trim().split("\n").length;
}

/** A guest is paused, and one of another host's has had its disk since. */
async function overtake(etcd: Etcd, guest: ClusterGuest, elsewhere: ClusterHost): Promise<void> {
  await guest.acquire("disk0");
  await guest.release("disk0");
  {
    await using other = new ClusterGuest(ClusterGuest.at(elsewhere), 2);
    await other.acquire("disk0");
  }
  await until("the other's lock to go", async () => !(await keysOf(etcd)).includes("lock/scsi/disk0"));
}

Deno.test("a guest is suspended and resumed while etcd is away, also by a daemon that was executed anew", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = new ClusterGuest(ClusterGuest.at(a), 1);
  await guest.acquire(...DISKS);
  etcd.stop();
  await guest.release(...DISKS);
  await guest.acquire(...DISKS);
  await guest.release(...DISKS);
  await reExec(a.daemon);
  await guest.acquire(...DISKS);
  etcd.resume();
  assert.equal((await keysOf(etcd)).filter((key) => key.startsWith("lock/")).length, 10);
});

Deno.test("a guest that was suspended before its daemon was killed is resumed while etcd is away", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a");
  await using manager = await a.startManaged();
  await using guest = new ClusterGuest({ place: a.place, space: a.space, socket: manager.socket }, 1);
  await guest.acquire(...DISKS);
  await guest.release(...DISKS);
  etcd.stop();
  await manager.crash();
  await guest.acquire(...DISKS);
  etcd.resume();
  await using b = await ClusterHost.start(etcd, "b");
  await using other = new ClusterGuest(ClusterGuest.at(b), 2);
  assert.match(await refusal(other.acquire("disk0")), /is locked by domain 'domain1'/);
});

Deno.test("the lock of a paused guest goes to a guest of another host that asks, and the paused one is not resumed", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = new ClusterGuest(ClusterGuest.at(a), 1);
  await guest.acquire("disk0", "disk1");
  await guest.release("disk0", "disk1");
  assert.match(await refusal(guest.release("disk0")), /'disk0' is not locked/);
  {
    await using other = new ClusterGuest(ClusterGuest.at(b), 2);
    await other.acquire("disk0");
    assert.match(await refusal(guest.acquire("disk0")), /is locked by domain 'domain2' .* on host/);
  }
  await until("the other's lock to go", async () => !(await keysOf(etcd)).includes("lock/scsi/disk0"));
  assert.match(
    await refusal(guest.acquire("disk0")),
    /was in use by domain 'domain2' .* on host '.*' while domain 'domain1' .* was paused.*allow_stale_resume/,
  );
  a.place.appendConfig("allow_stale_resume = 1\n");
  await a.reExec();
  await guest.acquire("disk0", "disk1");
  await guest[Symbol.asyncDispose]();
  await until("nothing to be left", async () => (await keysOf(etcd)).length === 0);
});

Deno.test("a paused guest that had its disk alone is not resumed when others have shared it meanwhile", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = new ClusterGuest(ClusterGuest.at(a), 1);
  await guest.acquire("disk0");
  await guest.release("disk0");
  await using sharer = await Holder.start(b.daemon);
  await sharer.acquire(b.space, "disk0", SHARED | AUTOCREATE);
  assert.match(await refusal(guest.acquire("disk0")), new RegExp(`pid ${sharer.pid}\\)`));
  // It is paused too, and gives the lock to whoever asks.
  await using libvirtd = await LockClient.connect(b.daemon.socket);
  await libvirtd.register(sharer.owner);
  await libvirtd.release(b.space, "disk0");
  assert.match(
    await refusal(guest.acquire("disk0")),
    /was in use by domain '.*' .* on host '.*' while domain 'domain1' .* was paused/,
  );
});

Deno.test("a paused guest of a host that was fenced and lives is not resumed over what others may have written", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = new ClusterGuest(ClusterGuest.at(a), 1);
  await overtake(etcd, guest, b);
  a.daemon.signal("SIGSTOP");
  const fenced = await b.command("fence", "a", "--yes", "--dead");
  assert.equal(fenced.code, 0, fenced.stderr);
  // Its mark has gone with its locks.
  assert.deepEqual(await keysOf(etcd), []);
  a.daemon.signal("SIGCONT");
  await a.daemon.log.match(
    /This host was fenced by .*: its locks of the cluster's may be other hosts' by now/,
  );
  assert.match(
    await refusal(guest.acquire("disk0")),
    /'disk0' was in use by domain '.*' .* while domain 'domain1' .* was paused/,
  );
});

Deno.test("a guest with ten disks moves, and a lost last step of that does not let it run twice", async () => {
  await using etcd = await Etcd.start();
  // It is refused when it has waited for its own domain elsewhere.
  await using a = await ClusterHost.start(etcd, "a", { settings: "storage_timeout = 30\ncluster_wait = 5" });
  await using b = await ClusterHost.start(etcd, "b");
  await using source = new ClusterGuest(ClusterGuest.at(a), 1);
  await source.acquire(...DISKS);
  await source.release(...DISKS);
  {
    await using target = new ClusterGuest(ClusterGuest.at(b), 1);
    await target.acquire(...DISKS);
    assert.match(await refusal(source.acquire(...DISKS)), /is locked by domain 'domain1' .* on host/);
  }
  await until("the target to be gone", async () => {
    return !(await keysOf(etcd)).some((key) => key.startsWith("lock/"));
  });
  assert.match(
    await refusal(source.acquire(...DISKS)),
    /'disk0' was in use by domain 'domain1' .* while domain 'domain1' .* was paused/,
  );
  await source[Symbol.asyncDispose]();
  await until("nothing to be left", async () => (await keysOf(etcd)).length === 0);
});

Deno.test("a migration that fails on its target comes back, ten times", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using source = new ClusterGuest(ClusterGuest.at(a), 1);
  await using rival = new ClusterGuest(ClusterGuest.at(b), 2);
  await rival.acquire("taken");
  await source.acquire(...DISKS);
  for (let round = 0; round < 10; round++) {
    await source.release(...DISKS);
    const target = new ClusterGuest(ClusterGuest.at(b), 1);
    assert.match(await refusal(target.acquire(...DISKS, "taken")), /'taken' is locked by domain 'domain2'/);
    // libvirt kills it, and resumes the source at once.
    await Promise.all([target[Symbol.asyncDispose](), source.acquire(...DISKS)]);
  }
});

Deno.test("a target that was refused one of its locks gives the others back, unless it got something since", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using rival = new ClusterGuest(ClusterGuest.at(a), 2);
  await rival.acquire("taken");
  const disk = `${a.place.directory}/disk`;
  await Deno.writeTextFile(disk, "data");
  for (const since of [false, true]) {
    await using target = await Holder.start(a.daemon);
    // What it writes cannot be judged: no lock tells.
    await target.open(disk);
    await target.acquire(a.space, "lease", AUTOCREATE);
    await target.acquire(a.space, "common", AUTOCREATE | SHARED);
    assert.match(
      await refusal(target.acquire(a.space, "taken", AUTOCREATE)),
      /is locked by domain 'domain2'/,
    );
    if (since) await target.acquire(a.space, "more", AUTOCREATE);
    await target.kill();
    if (since) await a.daemon.log.match(/Resource 'lease' .* stays locked although its process is gone/);
    else await until("only the rival's to be left", async () => (await keysOf(etcd)).length === 2);
  }
});

Deno.test("one domain that is started on two hosts is refused after the time that hosts wait for each other", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b", { settings: "cluster_wait = 1" });
  await using first = new ClusterGuest(ClusterGuest.at(a), 1);
  await first.acquire("disk0");
  await using second = new ClusterGuest(ClusterGuest.at(b), 1);
  assert.match(await refusal(second.acquire("disk0")), /is locked by domain 'domain1' .* on host/);
  // One that waits for it gets it when it is free.
  b.place.writeConfig(Deno.readTextFileSync(b.place.paths.config).replace("cluster_wait = 1", PATIENT));
  await b.reExec();
  await using third = new ClusterGuest(ClusterGuest.at(b), 1);
  const asked = third.acquire("disk0");
  await first[Symbol.asyncDispose]();
  await asked;
});

Deno.test("a disk that is detached from a guest is given up by itself", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = new ClusterGuest(ClusterGuest.at(a), 1);
  await guest.acquire("disk0", "disk1");
  await guest.release("disk1");
  await until("its lock to go", async () => !(await keysOf(etcd)).includes("lock/scsi/disk1"));
  await guest.acquire("disk1");
});

Deno.test("a daemon that is killed while it hands locks over goes on with that", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a");
  await using manager = await a.startManaged();
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = new ClusterGuest({ place: a.place, space: a.space, socket: manager.socket }, 1);
  await guest.acquire(...DISKS);
  await guest.release(...DISKS);
  {
    await using other = new ClusterGuest(ClusterGuest.at(b), 1);
    const asked = refusalOf(other.acquire(...DISKS));
    await manager.crash();
    const text = await asked;
    assert.match(text ?? "is locked by domain 'domain1'", /is locked by domain 'domain1'/);
  }
  await until("the next daemon to be a member", () => {
    return manager.log.split("This host is a member of its cluster").length > 2;
  });
  // Whether the other one had one of the disks is a matter of luck: then the first is not resumed.
  const text = await refusalOf(guest.acquire(...DISKS));
  assert.match(text ?? "was in use by domain 'domain1'", /was in use by domain 'domain1'/);
  await guest[Symbol.asyncDispose]();
  await until("nothing to be left", async () => (await keysOf(etcd)).length === 0);
});

Deno.test("in a lock directory that hosts share a guest moves and comes back all the same", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.create(etcd, "b", { space: a.space });
  await b.startDaemon();
  await using rival = new ClusterGuest(ClusterGuest.at(b), 2);
  await rival.acquire("taken");
  await using source = new ClusterGuest(ClusterGuest.at(a), 1);
  await source.acquire(...DISKS);
  await source.release(...DISKS);
  const failing = new ClusterGuest(ClusterGuest.at(b), 1);
  assert.match(await refusal(failing.acquire(...DISKS, "taken")), /'taken' is locked by domain 'domain2'/);
  await Promise.all([failing[Symbol.asyncDispose](), source.acquire(...DISKS)]);
  assert.match(await refusal(rival.acquire("disk0")), /is locked by domain 'domain1' .* on host/);
  await source.release(...DISKS);
  await using target = new ClusterGuest(ClusterGuest.at(b), 1);
  await target.acquire(...DISKS);
});

for (const heard of ["heard of it", "not heard of it"] as const) {
  Deno.test(`a paused guest is not resumed over what others have written when its host was made to leave, has ${heard}, and joins again`, async () => {
    await using etcd = await Etcd.start();
    await using a = await ClusterHost.start(etcd, "a");
    await using b = await ClusterHost.start(etcd, "b");
    await using guest = new ClusterGuest(ClusterGuest.at(a), 1);
    await overtake(etcd, guest, b);
    // It was refused another one, and so has not gone on.
    await using half = new ClusterGuest(ClusterGuest.at(a), 3);
    await half.acquire("got");
    await half.release("got");
    const before = await clientsOf(a);
    assert.match(await refusal(half.acquire("got", "..")), /'\.\.'/);
    await until("the end of that connection to be known", async () => await clientsOf(a) <= before);
    // From then on nothing but what it has heard of tells that anything is missing.
    const membership = `${a.place.paths.runDir}/virtlockd-cluster.json`;
    await until("all that it has to be in etcd for certain", () => {
      return Deno.readTextFileSync(membership).includes('"settled":true');
    });
    // What the daemon asks stays without an answer until the next one asks.
    if (heard === "not heard of it") a.signalLinks("SIGSTOP");
    const left = await b.command("leave", "a", "--force", "--json");
    assert.deepEqual([left.code, JSON.parse(left.stdout).overtaken], [0, ["domain1"]]);
    if (heard === "heard of it") await a.daemon.log.match(/This host is no member of its cluster any more/);
    await reExec(a.daemon);
    a.killLinks();
    const joined = await a.command("join", "--wait", "60");
    assert.equal(joined.code, 0, joined.stdout);
    const resumed = /was in use by domain '\(not known any more\)' .* while domain 'domain1' .* was paused/;
    assert.match(await refusal(guest.acquire("disk0")), resumed);
    assert.match(
      await refusal(half.acquire("got")),
      /was in use by domain '\(not known any more\)' .* while domain 'domain3' .* was paused/,
    );
    // Kept like any other use: the next image knows it too.
    await a.reExec();
    assert.match(await refusal(guest.acquire("disk0")), resumed);
    a.place.appendConfig('stale_resume_guests = [ "domain1" ]\n');
    await a.reExec();
    await guest.acquire("disk0");
  });
}
