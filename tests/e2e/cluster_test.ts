import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost, PATIENT } from "../support/cluster_host.ts";
import { Daemon } from "../support/daemon.ts";
import { Etcd } from "../support/etcd.ts";
import { LockClient } from "../support/lock_client.ts";
import { Holder } from "../support/holder.ts";
import { refusal, refusalOf, untilGranted } from "../support/lock_refusal.ts";
import { kernel } from "../support/kernel.ts";
import { processState } from "../../src/os/process_state.ts";
import { testProgram } from "../support/programs.ts";
import { reExec } from "../support/re_exec.ts";
import { host, runOk } from "./support/command.ts";
import { Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

// Hosts of a cluster on one machine, each with a daemon, a lock directory and a link, and a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

const NAMED_DEVICES = testProgram(new URL("../support/named_devices_main.ts", import.meta.url));

/** ACQUIRE_RESOURCE's flags: shared, and the file is made on demand. */
const SHARED = 1;
const AUTOCREATE = 2;

/** Keys of the locks that etcd has, below the cluster's prefix. */
async function locksOf(etcd: Etcd): Promise<string[]> {
  const keys = [...(await etcd.keys("/virtlockd/test/")).keys()].map((key) =>
    key.slice("/virtlockd/test/".length)
  );
  return keys.filter((key) => /^(lock|share)\//.test(key));
}

Deno.test("a lock of the cluster's is had by one host at a time, and its holder is named to the others", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using first = await Holder.start(a.daemon);
  await using second = await Holder.start(b.daemon);
  await first.acquire(a.space, "disk1", AUTOCREATE);
  const text = await refusal(second.acquire(b.space, "disk1", AUTOCREATE));
  assert.match(
    text,
    new RegExp(
      `'disk1' is locked by domain '${first.owner.name}' \\(uuid .*, pid ${first.pid}\\) since .*Z on host '.+'$`,
    ),
  );
  assert.equal(Deno.readDirSync(b.space).toArray().length, 0);
  await second.acquire(b.space, "disk2", AUTOCREATE);
  await first.kill();
  await until("its lock to go", async () => (await locksOf(etcd)).join() === "lock/scsi/disk2");
  await second.acquire(b.space, "disk1", AUTOCREATE);
});

Deno.test("a lock is shared by hosts, and goes from etcd with its last sharer on each", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using first = await Holder.start(a.daemon);
  await using beside = await Holder.start(a.daemon);
  await using second = await Holder.start(b.daemon);
  await first.acquire(a.space, "disk", AUTOCREATE | SHARED);
  await beside.acquire(a.space, "disk", AUTOCREATE | SHARED);
  await second.acquire(b.space, "disk", AUTOCREATE | SHARED);
  assert.equal((await locksOf(etcd)).length, 2);
  await first.kill();
  await second.kill();
  await until("one host's share to go", async () => (await locksOf(etcd)).length === 1);
  await using third = await Holder.start(b.daemon);
  assert.match(
    await refusal(third.acquire(b.space, "disk", AUTOCREATE)),
    new RegExp(`is locked by guests of host '.+' that share it, at first domain '${first.owner.name}'`),
  );
  await beside.kill();
  await until("the other's to go", async () => (await locksOf(etcd)).length === 0);
  await third.acquire(b.space, "disk", AUTOCREATE);
  assert.deepEqual(await locksOf(etcd), ["lock/scsi/disk"]);
});

Deno.test("a lock whose last writes cannot be judged is never given up but by an administrator's word", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { settings: "storage_timeout = 3\nsettle_timeout = 0" });
  await using guest = await Holder.start(a.daemon);
  const disk = `${a.place.directory}/disk`;
  await Deno.writeTextFile(disk, "data");
  await guest.open(disk);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await guest.kill();
  const stays = new RegExp(
    `Resource 'disk' of domain '${guest.owner.name}' .* stays locked although its process is gone: it had ${disk} ` +
      `open for writing; other hosts use the disk, so it stays until somebody says that nothing of that guest is written any more: ` +
      `virtlockd release ${a.space}/disk --force --guest ${guest.owner.name}`,
  );
  await a.daemon.log.match(stays);
  await using next = await Holder.start(a.daemon);
  assert.match(
    await refusal(next.acquire(a.space, "disk", AUTOCREATE)),
    /virtlockd release \S+ --force --guest /,
  );
  assert.deepEqual(await locksOf(etcd), ["lock/scsi/disk"]);
  // Over a re-exec too, and its list says what to do.
  await reExec(a.daemon);
  const [shown] = JSON.parse((await a.daemon.command("locks", "--json")).stdout);
  assert.equal(shown.state, "settling");
  assert.match(shown.reason, /virtlockd release \S+ --force --guest /);
  const { code } = await a.daemon.command("release", "disk", "--force", "--guest", guest.owner.name, "--yes");
  assert.equal(code, 0);
  await until("its lock to go", async () => (await locksOf(etcd)).length === 0);
});

Deno.test("while etcd is away guests keep their locks, new ones are refused, and none is left behind", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  etcd.stop();
  await using next = await Holder.start(a.daemon);
  const text = await refusal(next.acquire(a.space, "other", AUTOCREATE));
  assert.match(text, /Unable to acquire lock on resource .*\/other: /);
  assert.deepEqual(Deno.readDirSync(a.space).map(({ name }) => name).toArray(), ["disk"]);
  etcd.resume();
  await untilGranted(() => next.acquire(a.space, "third", AUTOCREATE));
  await until("what was on its way to be undone", async () => {
    return (await locksOf(etcd)).join(" ") === "lock/scsi/disk lock/scsi/third";
  });
});

Deno.test("a link that is killed again and again loses no lock and leaves none", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  for (let round = 0; round < 10; round++) {
    await using guest = await Holder.start(a.daemon);
    const acquire = () => guest.acquire(a.space, "disk", AUTOCREATE);
    const asked = refusalOf(acquire());
    a.killLinks();
    if (await asked !== undefined) await untilGranted(acquire);
    assert.deepEqual(await locksOf(etcd), ["lock/scsi/disk"]);
  }
  await until("the last lock to go", async () => (await locksOf(etcd)).length === 0);
  assert.equal((await etcd.keys("/virtlockd/test/own/")).size, 0);
});

Deno.test("a daemon that is executed anew keeps its locks of the cluster's", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const before = await etcd.keys("/virtlockd/test/lock/");
  await reExec(a.daemon);
  await a.daemon.log.match(/member of its cluster[\s\S]*member of its cluster/);
  assert.deepEqual(await etcd.keys("/virtlockd/test/lock/"), before);
  await guest.kill();
  await until("the lock to go", async () => (await locksOf(etcd)).length === 0);
});

Deno.test("a daemon that is killed at any moment leaves no lock of a guest's free, and none that nobody has", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using manager = await a.startManaged();
  const onA = { place: a.place, socket: manager.socket };
  await using guest = await Holder.start(onA);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await using rival = await Holder.start(b.daemon);
  for (let round = 0; round < 5; round++) {
    await using passing = await Holder.start(onA);
    const acquire = () => passing.acquire(a.space, `passing${round}`, AUTOCREATE);
    const asked = refusalOf(acquire());
    await manager.crash();
    if (await asked !== undefined) await untilGranted(acquire);
    assert.match(
      await refusal(rival.acquire(b.space, "disk", AUTOCREATE)),
      new RegExp(`pid ${guest.pid}\\)`),
    );
    assert.deepEqual(await locksOf(etcd), ["lock/scsi/disk", `lock/scsi/passing${round}`]);
    await passing.kill();
    await until("its lock to go", async () => (await locksOf(etcd)).length === 1);
  }
  await guest.kill();
  await until("the guest's lock to go", async () => (await locksOf(etcd)).length === 0);
  await rival.acquire(b.space, "disk", AUTOCREATE);
  assert.equal((await etcd.keys("/virtlockd/test/own/")).size, 1);
});

Deno.test("a lease whose guest has ended while etcd is away goes when that is back, though the daemon was killed meanwhile", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a", { settings: "storage_timeout = 3" });
  await using manager = await a.startManaged();
  Deno.writeTextFileSync(`${a.space}/lease`, "");
  await using guest = await Holder.start({ place: a.place, socket: manager.socket });
  await guest.acquire(a.space, "lease");
  const { adminSocket } = a.place.paths;
  const states = async () => {
    const args = ["locks", "--json", "--connect", adminSocket];
    const { stdout } = await Daemon.run({ args, place: a.place });
    const locks: { state: string }[] = JSON.parse(stdout);
    return locks.map(({ state }) => state).join();
  };
  etcd.stop();
  await guest.kill();
  await until("its lease to be given back", async () => await states() === "releasing");
  await manager.crash();
  // What its guest wrote this daemon has not seen.
  assert.equal(await states(), "releasing");
  etcd.resume();
  await until("the lease to go", async () => (await locksOf(etcd)).length === 0);
  await until("its lock to go", async () => await states() === "");
});

Deno.test("a guest in a container is known in etcd by the process that its host sees", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  const launcher = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--"];
  await using guest = await Holder.start(a.daemon, launcher);
  assert.equal(guest.owner.pid, 1);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const record = (await etcd.keys("/virtlockd/test/lock/")).get("/virtlockd/test/lock/scsi/disk");
  const { pid, start }: { pid: number; start: number } = JSON.parse(record ?? "{}");
  assert.deepEqual([pid, start], [
    Number(Deno.readTextFileSync(`/proc/${guest.pid}/task/${guest.pid}/children`)),
    processState(kernel, pid)?.startTime,
  ]);
});

Deno.test("a host whose settings of the cluster are gone or wrong locks nothing of the cluster's", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  a.place.writeConfig("storage_timeout = 3\n");
  await reExec(a.daemon);
  await using next = await Holder.start(a.daemon);
  assert.match(
    await refusal(next.acquire(a.space, "other", AUTOCREATE)),
    /this host is a member of cluster test since it was started, and virtlockd.conf names no cluster_endpoints/,
  );
  assert.deepEqual(await locksOf(etcd), ["lock/scsi/disk"]);
});

Deno.test("a host whose id is changed under its guests objects to being fenced, locks nothing new, and may leave", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const config = Deno.readTextFileSync(a.place.paths.config);
  const renamed = config.replace('cluster_host_id = "a"', 'cluster_host_id = "z"');
  a.place.writeConfig(renamed);
  await reExec(a.daemon);
  const changed = /this host is a member of cluster test as a since it was started, and its id is z now/;
  await using next = await Holder.start(a.daemon);
  assert.match(await refusal(next.acquire(a.space, "other", AUTOCREATE)), changed);
  await etcd.control("del", "/virtlockd/test/host/a");
  const fenced = await b.command("fence", "a", "--yes");
  assert.match(fenced.stderr, /has not been fenced: it lives/);
  assert.equal(fenced.code, 1);
  await using rival = await Holder.start(b.daemon);
  assert.match(
    await refusal(rival.acquire(b.space, "disk", AUTOCREATE)),
    new RegExp(`'disk' is locked by domain '${guest.owner.name}'`),
  );
  // With the id that it has joined with it goes on.
  a.place.writeConfig(config);
  await reExec(a.daemon);
  await until(
    "host a to lock again",
    () => next.acquire(a.space, "other", AUTOCREATE).then(() => true, () => false),
  );
  a.place.writeConfig(renamed);
  await reExec(a.daemon);
  await Promise.all([guest.kill(), next.kill()]);
  await until("its locks to go", async () => (await locksOf(etcd)).length === 0);
  const left = await b.command("leave", "a");
  assert.deepEqual([left.code, left.stderr], [0, ""]);
  await a.daemon.log.match(/This host is no member of its cluster any more.*it has left the cluster/);
  await a.reExec();
  await using last = await Holder.start(a.daemon);
  await last.acquire(a.space, "disk", AUTOCREATE);
  const hosts: { host: string; state: string }[] = JSON.parse((await b.command("hosts", "--json")).stdout);
  assert.deepEqual(hosts.map(({ host, state }) => [host, state]), [["a", "left"], ["b", "live"], [
    "z",
    "live",
  ]]);
});

Deno.test("a host that cannot tell whether it is a member locks nothing that may be the cluster's", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  a.place.writeConfig("storage_timeout = 3\n");
  const membership = `${a.place.paths.runDir}/virtlockd-cluster.json`;
  // The last thing that the daemon writes there by itself.
  await until("the daemon to be settled", () => Deno.readTextFileSync(membership).includes('"settled":true'));
  Deno.writeTextFileSync(membership, "{");
  await reExec(a.daemon);
  await using guest = await Holder.start(a.daemon);
  assert.match(
    await refusal(guest.acquire(a.space, "disk", AUTOCREATE)),
    /it may be one, but what the last daemon has kept of that cannot be told: .*virtlockd-cluster.json is not understood/,
  );
});

Deno.test("an etcd that takes fewer operations than are needed is told by the name of its setting", async () => {
  await using etcd = await Etcd.start(1, "memory", "narrow");
  await using a = await ClusterHost.create(etcd, "a");
  await using daemon = await Daemon.start({ place: a.place });
  const told =
    "etcdserver: too many operations in txn request \\(etcd is set to take fewer than 128 operations in " +
    "one transaction: take --max-txn-ops \\(ETCD_MAX_TXN_OPS\\) out of the settings of each member";
  await daemon.log.match(new RegExp(told));
  const doctor = await daemon.command("doctor");
  assert.match(
    doctor.stdout,
    new RegExp(`This host is not a member of cluster test yet: ${told}`),
  );
  const { code, stdout, stderr } = await a.command("status");
  assert.equal(code, 1);
  assert.match(stdout, /^cluster: +test$/m);
  assert.match(stderr, new RegExp(`No host can be a member: ${told}`));
});

Deno.test("a typo in a key of the cluster's fails the start", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a", { settings: 'cluster_endpoint = ["http://x"]' });
  const { code, stderr } = await Daemon.run({ place: a.place });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /virtlockd.conf:5: expected a known key, such as "cluster_endpoints".*, got "cluster_endpoint"/,
  );
});

/** What scsi_id, multipath and the kernel call one disk. */
const WWID = "6001405abcdef0123456789abcdef012";

/** A loop device and nodes of it. Disposing of it detaches the device. */
class LoopDevice implements AsyncDisposable {
  private constructor(readonly name: string, readonly numbers: string) {}

  static async over(file: string): Promise<LoopDevice> {
    await Deno.writeFile(file, new Uint8Array(1 << 20));
    const name = (await runOk(host, ["losetup", "--find", "--show", file])).trim();
    const numbers = (await runOk(host, ["lsblk", "-dno", "MAJ:MIN", name])).trim();
    return new LoopDevice(name, numbers);
  }

  /** Another node of it. The kernel keeps locks of each apart, as it does with those of two hosts. */
  async node(path: string): Promise<string> {
    await runOk(host, ["mknod", path, "b", ...this.numbers.split(":")]);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await host.run(["losetup", "--detach", this.name]);
  }
}

/** A host that locks devices for the cluster, and what its kernel tells of one. */
async function hostWithDevices(etcd: Etcd, name: string, attributes: Record<string, string>) {
  const settings = `${PATIENT}\ncluster_devices = 1`;
  const made = await ClusterHost.create(etcd, name, { settings, cluster: "new" });
  for (const [path, text] of Object.entries(attributes)) {
    const file = `${made.place.directory}/sysfs/${path}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, `${text}\n`);
  }
  try {
    await made.startDaemon({ entry: NAMED_DEVICES });
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
  return made;
}

Deno.test("a disk is one lock by each of its names on each host, and one without a name is its host's own", async () => {
  await using etcd = await Etcd.start();
  await etcd.openCluster("test", ["devices", "scsi"]);
  using scratch = new Scratch();
  await using disk = await LoopDevice.over(scratch.file("disk"));
  await using other = await LoopDevice.over(scratch.file("other"));
  await using a = await hostWithDevices(etcd, "a", { [`${disk.numbers}/device/wwid`]: `naa.${WWID}` });
  await using b = await hostWithDevices(etcd, "b", { [`${disk.numbers}/dm/uuid`]: `mpath-3${WWID}` });
  const path = await disk.node(`${a.place.directory}/sda`);
  const second = await disk.node(`${a.place.directory}/sdb`);
  const map = await disk.node(`${b.place.directory}/mapped`);
  await using guest = await Holder.start(a.daemon);
  await using rival = await Holder.start(b.daemon);
  await using beside = await Holder.start(a.daemon);
  await guest.acquire("", path);
  assert.deepEqual(await locksOf(etcd), [`lock/scsi/3${WWID}`]);
  const text = new RegExp(`is locked by domain '${guest.owner.name}' .* on host '`);
  assert.match(await refusal(rival.acquire("", map)), text);
  assert.match(await refusal(rival.acquire(b.space, `3${WWID}`, AUTOCREATE)), text);
  // Another path to it on the same host, for another guest and for the same one.
  assert.match(await refusal(beside.acquire("", second)), text);
  assert.match(await refusal(guest.acquire("", second)), text);
  // Its next image knows by its descriptor what it has.
  await reExec(a.daemon);
  await a.daemon.log.match(/member of its cluster[\s\S]*member of its cluster/);
  assert.match(await refusal(rival.acquire("", map)), text);
  // Nothing tells other hosts which one this is.
  await beside.acquire("", await other.node(`${a.place.directory}/nameless`));
  await rival.acquire("", await other.node(`${b.place.directory}/nameless`));
  assert.deepEqual(await locksOf(etcd), [`lock/scsi/3${WWID}`]);
  await guest.kill();
  await until("its lock to go", async () => (await locksOf(etcd)).length === 0);
  await rival.acquire("", map);
  assert.deepEqual(await locksOf(etcd), [`lock/scsi/3${WWID}`]);
});

Deno.test("a device whose lock a daemon could not have at once is the cluster's when it has it, and its paused guest's", async () => {
  await using etcd = await Etcd.start();
  await etcd.openCluster("test", ["devices", "scsi"]);
  using scratch = new Scratch();
  await using disk = await LoopDevice.over(scratch.file("disk"));
  await using a = await hostWithDevices(etcd, "a", { [`${disk.numbers}/device/wwid`]: `naa.${WWID}` });
  const path = await disk.node(`${a.place.directory}/sda`);
  await using guest = await Holder.start(a.daemon);
  const libvirtd = async () => {
    const client = await LockClient.connect(a.daemon.socket);
    await client.register(guest.owner);
    return client;
  };
  await guest.acquire("", path);
  {
    await using pausing = await libvirtd();
    await pausing.release("", path);
  }
  await a.daemon.kill();
  Deno.renameSync(path, `${path}.away`);
  await a.startDaemon({ entry: NAMED_DEVICES });
  Deno.renameSync(`${path}.away`, path);
  await a.daemon.log.match(/ended with the last daemon: it is taken again, but was free for a while/);
  await using resuming = await libvirtd();
  await resuming.acquire("", path);
  assert.deepEqual(await locksOf(etcd), [`lock/scsi/3${WWID}`]);
  await guest.kill();
  await until("its lock to go", async () => (await locksOf(etcd)).length === 0);
});

Deno.test("a host that does not lock devices for all is not admitted where others do", async () => {
  await using etcd = await Etcd.start();
  await etcd.openCluster("test", ["devices", "scsi"]);
  await using a = await ClusterHost.create(etcd, "a", { cluster: "new" });
  await using daemon = await Daemon.start({ place: a.place });
  await daemon.log.match(
    /the other hosts lock devices, scsi for the cluster, and this one scsi: make cluster_lockspaces/,
  );
});

Deno.test("a key that somebody deletes by hand is there again soon, and one that is another's by then is alarmed", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await guest.acquire(a.space, "other", AUTOCREATE);
  const before = await etcd.keys("/virtlockd/test/");
  const [own = ""] = [...before.keys()].filter((key) => key.includes("/own/"));
  const key = "/virtlockd/test/lock/scsi/disk";
  for (const deleted of [[key], [own], [key, own]]) {
    for (const each of deleted) await etcd.control("del", each);
    await until("the keys to be there again", async () => {
      const now = await etcd.keys("/virtlockd/test/");
      return deleted.every((each) => now.get(each) === before.get(each));
    });
  }
  await a.daemon.log.match(/Somebody has changed .*\/lock\/scsi\/disk in etcd by hand\. It is as it was/);
  const record = JSON.parse(before.get(key) ?? "{}");
  await etcd.control("put", key, JSON.stringify({ ...record, session: "another", attempt: "another" }));
  await a.daemon.log.match(
    /'disk' .*is not granted by the cluster: somebody has changed its key in etcd by hand/,
  );
  const locks: { resource: string; state: string }[] = JSON.parse(
    (await a.daemon.command("locks", "--json")).stdout,
  );
  const states = locks.map(({ resource, state }) => `${resource} ${state}`).sort();
  assert.deepEqual(states, ["disk doubtful", "other held"]);
});

Deno.test("a session that somebody deletes by hand closes the cluster", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const [session = ""] = (await etcd.keys("/virtlockd/test/session/")).keys();
  await etcd.control("del", session);
  await a.daemon.log.match(/etcd does not know this host any more/);
  await using next = await Holder.start(a.daemon);
  assert.match(await refusal(next.acquire(a.space, "other", AUTOCREATE)), /is being recovered/);
});
