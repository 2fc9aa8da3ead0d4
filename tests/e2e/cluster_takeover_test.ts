import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { meanwhile } from "../support/meanwhile.ts";
import { until } from "../support/until.ts";
import { ClusterHosts, type End } from "./support/cluster_hosts.ts";
import { LockAsker } from "./support/lock_asker.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService, membershipOf } from "./support/lock_service.ts";

// A host with a running guest and libvirt's own daemon becomes a member of a cluster that is open: our
// packages are installed over it. The other host is a member all the time, and has one of the guest's locks
// by then.

const UUIDS = {
  alpha: "11111111-2222-3333-4444-555555555555",
  beta: "66666666-7777-8888-9999-aaaaaaaaaaaa",
  gamma: "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff",
  delta: "dddddddd-cccc-4ddd-8eee-ffffffffffff",
  epsilon: "eeeeeeee-cccc-4ddd-8eee-ffffffffffff",
};
const PREFIX = "/virtlockd/prod/";
const ONE = 0;
const TWO = 1;
const BY_ALPHA =
  /'database' is locked by domain 'alpha' \(uuid 11111111-2222-3333-4444-555555555555, pid \d+\) on host 'two'/;
const BY_GAMMA = /'taken' is locked by domain 'gamma' \(uuid bbbbbbbb-[^)]*\) since \S+Z on host 'one'/;
const KILL = "systemctl kill --signal=KILL --kill-whom=main virtlockd.service";

/** A lock in etcd. */
interface LockRecord {
  readonly domain: string;
  /** etcd's revision when it was put there. */
  readonly revision: number;
}

/** Every lock that is in etcd, by its name, in the order of the names. */
async function records({ etcd }: ClusterHosts): Promise<Map<string, LockRecord>> {
  const prefix = `${PREFIX}lock/`;
  const text = await etcd.control("get", prefix, "--prefix", "-w", "json");
  const { kvs = [] }: { kvs?: { key: string; value: string; create_revision: number }[] } = JSON.parse(text);
  return new Map(kvs.map(({ key, value, create_revision }) => {
    const { domain }: { domain: string } = JSON.parse(atob(value));
    return [atob(key).slice(prefix.length), { domain, revision: create_revision }];
  }));
}

/** As libvirt calls the lock file of a disk. */
function hashOf(path: string): string {
  return createHash("sha256").update(path).digest("hex");
}

/** What a host's daemon shows of a guest's locks: name, state, and for whom they count. */
async function shown(hosts: ClusterHosts, end: End, guest: string): Promise<string[][]> {
  const text = await hosts.machine(end).sh("virtlockd locks --json");
  const locks: { resource: string; state: string; hosts: string; holders: { domain: string }[] }[] = JSON
    .parse(
      text,
    );
  return locks.filter(({ holders }) => holders.some(({ domain }) => domain === guest))
    .map(({ resource, state, hosts }) => [resource, state, hosts]).sort();
}

/** Defines a guest with a disk and leases on a host. @returns path of its disk */
async function define(
  hosts: ClusterHosts,
  end: End,
  name: keyof typeof UUIDS,
  leases: readonly string[],
): Promise<string> {
  const libvirt = hosts.libvirt(end);
  const path = await libvirt.createDisk(`${name}.qcow2`);
  await libvirt.define({
    name,
    uuid: UUIDS[name],
    disks: [{ path, format: "qcow2" }],
    leases: await Promise.all(leases.map((key) => libvirt.createLease(key))),
  });
  return path;
}

/** Kills the daemon of a host, and waits until the next one serves. */
async function crash(hosts: ClusterHosts, end: End): Promise<void> {
  const service = new LockService(hosts.machine(end));
  const before = await service.pid();
  await hosts.machine(end).sh(KILL);
  await until("a new process", async () => ![0, before].includes(await service.pid()));
  await service.untilState("active");
}

Deno.test("A host with libvirt's daemon and a running guest is taken over into a cluster, and nothing is granted twice", async (t) => {
  await using hosts = await ClusterHosts.start(["bookworm", "bookworm"], "storage_timeout = 60\\n", [ONE]);
  const one = hosts.libvirt(ONE);
  const two = hosts.libvirt(TWO);
  const machine = hosts.machine(TWO);
  const disk = await define(hosts, TWO, "alpha", ["database", "taken"]);
  const hash = hashOf(disk);
  await define(hosts, TWO, "beta", ["other"]);
  await define(hosts, ONE, "gamma", ["taken"]);
  await define(hosts, TWO, "epsilon", ["taken"]);
  const ofDelta = await define(hosts, ONE, "delta", ["database"]);
  await one.virsh("start", "gamma");
  await two.virsh("start", "alpha");
  assert.match(await two.virtAdmin("version"), /Running against daemon: 9\.0\.0/);
  assert.deepEqual([...(await records(hosts)).values()].map(({ domain }) => domain), ["gamma", "gamma"]);
  const prober = await LockProber.start(
    machine,
    `${two.diskLockspace}/${hash}`,
    `${two.leaseLockspace}/database`,
    `${two.leaseLockspace}/taken`,
  );

  await t.step("the takeover waits for no etcd, and grants nothing without it", async () => {
    hosts.etcd.stop();
    await hosts.installOurs(TWO);
    assert.notEqual((await membershipOf(machine)).state, "live");
    assert.deepEqual(
      await shown(hosts, TWO, "alpha"),
      [
        [hash, "held", "pending"],
        ["database", "held", "pending"],
        ["taken", "held", "pending"],
      ].sort(),
    );
  });

  await t.step("what the guest has is in etcd before anything else of the host is", async () => {
    const started = meanwhile(two.virsh("start", "beta"));
    hosts.etcd.resume();
    await started;
    const locks = await records(hosts);
    const revisions = (guest: string) => {
      return [...locks.values()].flatMap(({ domain, revision }) => domain === guest ? [revision] : []);
    };
    assert.deepEqual(
      [...locks].filter(([, { domain }]) => domain === "alpha").map(([name]) => name),
      [`disks/${hash}`, "leases/database"],
    );
    assert.equal(revisions("beta").length, 2);
    assert.ok(Math.max(...revisions("alpha")) < Math.min(...revisions("beta")), JSON.stringify([...locks]));
    // Its looks at etcd may be late on a busy machine, and it is in doubt for a moment.
    await hosts.untilLive(TWO);
  });

  await t.step("the other host is refused it, with the guest and its host", async () => {
    await hosts.untilLive(ONE);
    assert.match(await one.virshError("start", "delta"), BY_ALPHA);
  });

  await t.step("what the other host had before is doubtful, and named", async () => {
    assert.deepEqual(
      await shown(hosts, TWO, "alpha"),
      [
        [hash, "held", "cluster"],
        ["database", "held", "cluster"],
        ["taken", "doubtful", "pending"],
      ].sort(),
    );
    const doctor = await machine.run(["virtlockd", "doctor"]);
    assert.match(
      doctor.stdout,
      /The lock on \S*\/taken of 'alpha' is doubtful: another host of the cluster holds it/,
    );
    assert.equal((await records(hosts)).get("leases/taken")?.domain, "gamma");
    assert.equal(await hosts.state(ONE, "gamma"), "running");
    assert.equal(await hosts.state(TWO, "alpha"), "running");
  });

  // From here on the other host asks for the disk all the time.
  await using asker = await LockAsker.start(hosts.machine(ONE), one.diskLockspace, [disk]);

  await t.step("kill -9 of the daemon changes none of it", async () => {
    await crash(hosts, TWO);
    await until("the host to be a member again", async () => (await membershipOf(machine)).state === "live");
    assert.deepEqual(
      await shown(hosts, TWO, "alpha"),
      [
        [hash, "held", "cluster"],
        ["database", "held", "cluster"],
        ["taken", "doubtful", "pending"],
      ].sort(),
    );
    const log = await machine.journal("virtlockd.service");
    assert.match(log, /Took over \d+ clients? and 5 locks of the guests 'alpha', 'beta'; 1 in doubt/);
    assert.doesNotMatch(log, /which this one has lost/);
    assert.match(await two.virshError("start", "epsilon"), /'taken' is locked by domain 'alpha'/);
    assert.match(await one.virshError("start", "delta"), BY_ALPHA);
    await prober.neverGranted(500);
    const { refused, granted } = await asker.stop();
    assert.deepEqual(granted, []);
    assert.ok(refused > 0);
  });

  await t.step("the end of the guest leaves nothing, and takes nothing of the other's", async () => {
    await two.virsh("destroy", "alpha");
    const guests = async () => [...new Set([...(await records(hosts)).values()].map(({ domain }) => domain))];
    await until("its locks to go", async () => !(await guests()).includes("alpha"));
    assert.deepEqual(await shown(hosts, TWO, "alpha"), []);
    assert.match(await two.virshError("start", "epsilon"), BY_GAMMA);
    await one.virsh("start", "delta");
    await two.virsh("destroy", "beta");
    await one.virsh("destroy", "gamma");
    await until("all others to go", async () => (await guests()).join() === "delta");
    const keys = [...(await hosts.etcd.keys(PREFIX)).keys()].map((key) => key.slice(PREFIX.length));
    assert.deepEqual(keys.filter((key) => /^(lock|share|paused|want)\//.test(key)), [
      `lock/disks/${hashOf(ofDelta)}`,
      "lock/leases/database",
    ]);
    assert.equal(keys.filter((key) => key.startsWith("own/")).length, 2);
  });
});
