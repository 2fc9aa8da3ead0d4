import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { ClusterHosts, clusterReleases } from "./support/cluster_hosts.ts";
import { ALPHA, BETA, defineRival, GAMMA } from "./support/ten_disk_guest.ts";

// A host of a cluster was fenced, or made to leave, and lives, with real guests: cluster_on_lost. On demand,
// as root, with VIRTLOCKD_TEST_CLUSTER: some minutes. For the last step no other QEMU may run on the machine:
// in its container a host cannot tell whether that one writes for a guest that has ended.

const RELEASES = clusterReleases();
/** How many locks each guest has: of its disk, and of the lease that both want. */
const LOCKS = 2;

/** A lock of alpha's, as `virtlockd locks --json` has it. */
interface ShownLock {
  readonly state: string;
  readonly reason?: string;
  readonly holders: readonly { readonly process?: string }[];
}

/** The lock of a lease on host one; undefined when it has none. */
async function leaseOf(hosts: ClusterHosts, name = "database"): Promise<ShownLock | undefined> {
  const text = await hosts.machine(0).sh(`virtlockd locks --json --path '*/${name}'`);
  const [lock]: ShownLock[] = JSON.parse(text);
  return lock;
}

/** States of the threads of alpha's process on host one, each once; "" when it has ended. */
async function threadsOf(hosts: ClusterHosts, pid: number): Promise<string> {
  const { stdout } = await hosts.machine(0).run(["sh", "-c", `cat /proc/${pid}/task/*/stat 2>/dev/null`]);
  const states = stdout.split("\n").flatMap((line) => /^\d+ \(.*\) (.)/.exec(line)?.[1] ?? []);
  return [...new Set(states)].sort().join("");
}

/** Sets what host one does with such guests. */
async function configure(hosts: ClusterHosts, onLost: string): Promise<void> {
  await hosts.machine(0).sh(`sed -i '/cluster_on_lost/d' /etc/libvirt/virtlockd.conf
    echo 'cluster_on_lost = "${onLost}"' >>/etc/libvirt/virtlockd.conf
    systemctl kill -s HUP --kill-who=main virtlockd`);
  await hosts.untilLive(0);
}

/**
 * Starts alpha on host one, has that fenced while it cannot reach etcd, starts beta on host two, which wants
 * the same lease, and waits until host one knows.
 *
 * @returns alpha's process, as host one sees it
 */
async function loseLease(hosts: ClusterHosts, onLost: string): Promise<number> {
  const [one, two] = [hosts.machine(0), hosts.machine(1)];
  await configure(hosts, onLost);
  await hosts.libvirt(0).virsh("start", "alpha");
  const pid = await hosts.libvirt(0).guestPid("alpha");
  await one.sh("systemctl stop virtlockd-cluster.socket 'virtlockd-cluster@*'");
  await two.sh("virtlockd cluster fence one --yes --dead");
  await hosts.libvirt(1).virsh("start", "beta");
  await one.sh("systemctl start virtlockd-cluster.socket");
  await until("host one to know what it has lost", async () => {
    return (await leaseOf(hosts))?.state !== "held";
  });
  return pid;
}

/** beta ends, and nothing is left. */
async function end(hosts: ClusterHosts): Promise<void> {
  await hosts.runsOn(1, "beta", LOCKS);
  await hosts.libvirt(1).virsh("destroy", "beta");
  await until("all locks to be given back", async () => (await hosts.locks()).length === 0);
}

if (RELEASES !== undefined) {
  Deno.test(`A host was fenced and lives, with guests (${RELEASES.join(", ")})`, async (t) => {
    await using hosts = await ClusterHosts.start(RELEASES);
    const [one, two] = [hosts.machine(0), hosts.machine(1)];
    const libvirt = hosts.libvirt(0);
    await defineRival(hosts, 0, ALPHA);
    await defineRival(hosts, 1, BETA);

    await t.step("report: the guest runs on, and is not resumed once it is paused", async () => {
      const pid = await loseLease(hosts, "report");
      assert.equal((await leaseOf(hosts))?.state, "doubtful");
      assert.doesNotMatch(await threadsOf(hosts, pid), /T/);
      await libvirt.virsh("suspend", "alpha");
      assert.match(await libvirt.virshError("resume", "alpha"), /is locked by domain 'beta'/);
      await libvirt.virsh("destroy", "alpha");
      await end(hosts);
    });

    await t.step(
      "pause: the guest stands still, whatever becomes of the daemon, and can be destroyed",
      async () => {
        const pid = await loseLease(hosts, "pause");
        const stands = async () => {
          const lock = await leaseOf(hosts);
          assert.deepEqual([lock?.state, lock?.holders[0]?.process], ["doubtful", "stopped"]);
          assert.equal(await threadsOf(hosts, pid), "T");
        };
        await until("it to stand still", async () => await threadsOf(hosts, pid) === "T");
        await stands();
        // libvirt is not told.
        assert.equal(await hosts.state(0, "alpha"), "running");
        assert.match(await one.sh("virtlockd doctor || true"), /domain 'alpha' .* is stopped by a signal/);
        await one.sh("kill -9 $(systemctl show -P MainPID virtlockd)");
        await until("the next daemon to answer", async () => {
          return (await one.run(["virtlockd", "status"])).code === 0;
        });
        await hosts.untilLive(0);
        await stands();
        await one.sh("virtlockd reload");
        await hosts.untilLive(0);
        await stands();
        await one.sh(`kill -CONT ${pid}`);
        await until("it to be stopped again", async () => await threadsOf(hosts, pid) === "T");
        // The monitor of a QEMU that stands still does not answer, and others have nothing of it.
        await one.sh("systemctl restart libvirtd");
        await until("libvirtd to answer", async () => await libvirt.answers());
        await stands();
        // A libvirtd that was started anew says that it does not run, when it has ended it.
        await libvirt.run(["virsh", "-c", "qemu:///system", "destroy", "alpha"]);
        await until("it to be gone", async () => await threadsOf(hosts, pid) === "");
        assert.equal(await hosts.state(0, "alpha"), "shut off");
        await until("its lock to go", async () => await leaseOf(hosts) === undefined);
        assert.match(await libvirt.virshError("start", "alpha"), /is locked by domain 'beta'/);
        await end(hosts);
      },
    );

    await t.step("kill: the guest ends, as after a crash, and no other one", async () => {
      const pid = await loseLease(hosts, "kill");
      await until("it to end", async () => await threadsOf(hosts, pid) === "");
      await until("libvirt to know", async () => await hosts.state(0, "alpha") === "shut off");
      assert.equal((await libvirt.virsh("domstate", "--reason", "alpha")).trim(), "shut off (crashed)");
      await end(hosts);
      await libvirt.virsh("start", "alpha");
      await hosts.runsOn(0, "alpha", LOCKS);
    });

    await t.step(
      "a host that is made to leave: its guest runs on until another host has its lock",
      async () => {
        await configure(hosts, "pause");
        const pid = await libvirt.guestPid("alpha");
        const leave = ["virtlockd", "cluster", "leave", "one"];
        const refused = await two.run(leave);
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /has not left: it has \d locks of 'alpha'/);
        await hosts.runsOn(0, "alpha", LOCKS);
        await two.sh([...leave, "--force"].join(" "));
        await until("host one to know", async () => (await leaseOf(hosts))?.state === "doubtful");
        assert.deepEqual(await hosts.locks(), []);
        assert.match(await one.sh("virtlockd doctor || true"), /PROBLEM.*alpha/s);
        assert.equal(await hosts.state(0, "alpha"), "running");
        assert.doesNotMatch(await threadsOf(hosts, pid), /T/);
        await hosts.libvirt(1).virsh("start", "beta");
        await until("alpha to stand still", async () => await threadsOf(hosts, pid) === "T");
        assert.equal((await leaseOf(hosts))?.holders[0]?.process, "stopped");
        await libvirt.virsh("destroy", "alpha");
        await until("its lock to go", async () => await leaseOf(hosts) === undefined);
        // It locks nothing of the cluster's before it joins again.
        assert.match(await libvirt.virshError("start", "alpha"), /has left the cluster/);
        await one.sh("virtlockd reload");
        await hosts.untilLive(0);
        assert.match(await libvirt.virshError("start", "alpha"), /is locked by domain 'beta'/);
        await end(hosts);
        await libvirt.virsh("start", "alpha");
        await hosts.runsOn(0, "alpha", LOCKS);
      },
    );

    await t.step(
      "a guest without a disk here: its lease waits for a person, or goes where somebody has said so",
      async () => {
        await libvirt.virsh("destroy", "alpha");
        await until("its locks to go", async () => (await hosts.locks()).length === 0);
        await libvirt.define({ ...GAMMA, leases: [await libvirt.createLease("network")] });
        await libvirt.virsh("start", "gamma");
        assert.equal((await leaseOf(hosts, "network"))?.state, "held");
        await libvirt.virsh("destroy", "gamma");
        await until("it to be known why its lock stays", async () => {
          const lock = await leaseOf(hosts, "network");
          return lock?.state === "settling" && /no disk of it was seen; .*release/.test(lock.reason ?? "");
        });
        await one.sh(`echo 'cluster_trust_network_disks = 1' >>/etc/libvirt/virtlockd.conf
          systemctl kill -s HUP --kill-who=main virtlockd`);
        await until("it to go", async () => await leaseOf(hosts, "network") === undefined);
        await libvirt.virsh("start", "gamma");
        await libvirt.virsh("destroy", "gamma");
        await until("it to go by itself", async () => await leaseOf(hosts, "network") === undefined);
      },
    );
  });
}
