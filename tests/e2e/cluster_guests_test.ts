import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { until } from "../support/until.ts";
import { ClusterHosts, clusterReleases, HOST_ADDRESSES } from "./support/cluster_hosts.ts";
import type { Libvirt } from "./support/libvirt.ts";
import { LostAnswer } from "./support/lost_answer.ts";
import { ALPHA, BETA, defineRival, defineTenDisks, GAMMA, LEASE, LOCKS } from "./support/ten_disk_guest.ts";

// What goes wrong with real guests of ten disks on two hosts of a cluster. On demand, as root, with
// VIRTLOCKD_TEST_CLUSTER: some minutes.

const RELEASES = clusterReleases();
/** How often the guest is migrated in vain, in each way. */
const ROUNDS = Number(Deno.env.get("VIRTLOCKD_TEST_MIGRATIONS") ?? 2);
/** How long etcd is away, in seconds. */
const OUTAGE = Number(Deno.env.get("VIRTLOCKD_TEST_OUTAGE") ?? 12);

/** Has a lock file locked for as long as it lives, as nobody of the cluster does. */
const STRANGER = `
import fcntl, sys, time
file = open(sys.argv[1], "a+b")
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
open("/run/stranger.ready", "w").close()
time.sleep(600)
`;
const HELD_ON_TWO = /is locked by domain 'alpha' \(uuid 1{8}-.*\) since .* on host/;
const RAN_ON_TWO = /was in use by domain 'alpha' .* on host .* while domain 'alpha' .* was paused/;

/** What makes a migration to host two fail, and what undoes it. */
interface Hindrance {
  readonly name: string;
  begin(hosts: ClusterHosts, disks: readonly string[]): Promise<void>;
  end(hosts: ClusterHosts): Promise<void>;
}

const UNREACHABLE: Hindrance = {
  name: "etcd cannot be reached there",
  begin: async (hosts) => {
    await hosts.machine(1).sh("systemctl stop virtlockd-cluster.socket 'virtlockd-cluster@*'");
  },
  end: async (hosts) => {
    await hosts.machine(1).sh("systemctl start virtlockd-cluster.socket");
    await hosts.untilLive(1);
  },
};

/** libvirt asks for leases first, and then for the disks in their order. */
const HINDRANCES: readonly Hindrance[] = [
  UNREACHABLE,
  refusedThere("the first of its locks", (libvirt) => `${libvirt.leaseLockspace}/${LEASE}`),
  refusedThere("one in the middle", (libvirt, disks) => `${libvirt.diskLockspace}/${sha256(disks[5] ?? "")}`),
  refusedThere("the last one", (libvirt, disks) => `${libvirt.diskLockspace}/${sha256(disks.at(-1) ?? "")}`),
];

function refusedThere(
  which: string,
  fileOf: (libvirt: Libvirt, disks: readonly string[]) => string,
): Hindrance {
  return {
    name: `${which} is refused there`,
    begin: async (hosts, disks) => {
      const two = hosts.machine(1);
      await two.sh("cat >/run/stranger.py; rm -f /run/stranger.ready", { input: STRANGER });
      const path = fileOf(hosts.libvirt(1), disks);
      await two.sh(`python3 /run/stranger.py ${path} & echo $! >/run/stranger`);
      await until(
        "the stranger's lock",
        async () => (await two.run(["test", "-e", "/run/stranger.ready"])).code === 0,
      );
    },
    end: async (hosts) => {
      await hosts.machine(1).sh("kill $(cat /run/stranger)");
    },
  };
}

/** As libvirt calls the lock file of a disk. */
function sha256(path: string): string {
  return createHash("sha256").update(path).digest("hex");
}

/** Everything ends at once, etcd too, and is started again at one time. */
async function losePower(hosts: ClusterHosts): Promise<void> {
  const members = [...hosts.etcd.urls.keys()];
  await Promise.all([
    ...members.map((member) => hosts.etcd.kill(member)),
    hosts.powerOff(0),
    hosts.powerOff(1),
  ]);
  for (const member of members) hosts.etcd.restart(member);
  await Promise.all([hosts.powerOn(0), hosts.powerOn(1)]);
}

async function untilNoLock(hosts: ClusterHosts): Promise<void> {
  await until("all locks to be given back", async () => (await hosts.locks()).length === 0);
}

if (RELEASES !== undefined) {
  Deno.test(`Much goes wrong for guests of ten disks on two hosts of a cluster (${RELEASES.join(", ")})`, async (t) => {
    await using hosts = await ClusterHosts.start(RELEASES);
    const disks = await defineTenDisks(hosts, 0, ALPHA, { leased: true });
    await defineRival(hosts, 1, BETA);
    await hosts.libvirt(0).virsh("start", "alpha");
    await hosts.runsOn(0, "alpha", LOCKS);

    for (const { name, begin, end } of HINDRANCES) {
      await t.step(`${ROUNDS} migrations in vain: ${name}`, async () => {
        for (let round = 0; round < ROUNDS; round++) {
          await begin(hosts, disks);
          const { code, stderr } = await hosts.migrate("alpha", 0);
          assert.equal(code, 1, stderr);
          await hosts.untilRuns(0, "alpha");
          await end(hosts);
          await hosts.runsOn(0, "alpha", LOCKS);
        }
      });
    }

    for (const ending of ["closed", "silent"] as const) {
      await t.step(`the last step of a migration is lost (${ending})`, async () => {
        await using lost = await LostAnswer.between(hosts.machine(0), HOST_ADDRESSES[1], ending);
        const migration = hosts.migrate("alpha", 0, lost.address);
        await lost.happened();
        // Only in its own machine: what this one sees of processes ends there.
        if (ending === "silent") await hosts.machine(0).sh("pkill -KILL -x virsh");
        assert.notEqual((await migration).code, 0);
        // libvirt may have tried to let it go on here.
        assert.equal(await hosts.state(0, "alpha"), "paused");
        await hosts.runsOn(1, "alpha", LOCKS);
        assert.match(await hosts.libvirt(0).virshError("resume", "alpha"), HELD_ON_TWO);
        await hosts.libvirt(1).virsh("destroy", "alpha");
        await untilNoLock(hosts);
        assert.match(await hosts.libvirt(0).virshError("resume", "alpha"), RAN_ON_TWO);
        await hosts.libvirt(0).virsh("destroy", "alpha");
        await hosts.libvirt(0).virsh("start", "alpha");
        await hosts.runsOn(0, "alpha", LOCKS);
      });
    }

    await t.step(`etcd is away for ${OUTAGE} s: the guest runs on, is suspended and resumed`, async () => {
      hosts.etcd.stop();
      const end = performance.now() + OUTAGE * 1000;
      await until("it to be noticed", async () => {
        return /etcd|answer/.test(await hosts.libvirt(1).virshError("start", "beta"));
      });
      while (performance.now() < end) {
        for (const command of ["suspend", "resume"]) await hosts.libvirt(0).virsh(command, "alpha");
        assert.equal((await hosts.migrate("alpha", 0)).code, 1);
        await hosts.untilRuns(0, "alpha");
      }
      hosts.etcd.resume();
      for (const each of [0, 1] as const) await hosts.untilLive(each);
      await hosts.runsOn(0, "alpha", LOCKS);
    });

    await t.step("a host crashes, is fenced, and its guest is started elsewhere", async () => {
      await hosts.powerOff(0);
      assert.match(await hosts.libvirt(1).virshError("start", "alpha"), /is locked by domain 'alpha'/);
      await hosts.untilSilent(0);
      assert.match(await hosts.libvirt(1).virshError("start", "alpha"), /virtlockd cluster fence/);
      await hosts.fence("one", 1);
      await hosts.libvirt(1).virsh("start", "alpha");
      await hosts.runsOn(1, "alpha", LOCKS);
      await hosts.powerOn(0);
      await hosts.untilLive(0);
      // QEMU opens its images before libvirt asks for their locks.
      const refused = await hosts.libvirt(0).virshError("start", "alpha");
      assert.match(refused, /Failed to get "write" lock|is locked by domain 'alpha'/);
      assert.equal((await hosts.migrate("alpha", 1)).stderr, "");
      await hosts.runsOn(0, "alpha", LOCKS);
    });

    await t.step(
      "all hosts and etcd are started together, with guests that start with their hosts",
      async () => {
        await defineTenDisks(hosts, 1, GAMMA, { leased: false });
        await hosts.libvirt(1).virsh("start", "gamma");
        await hosts.libvirt(0).virsh("autostart", "alpha");
        await hosts.libvirt(1).virsh("autostart", "gamma");
        await hosts.libvirt(0).virsh("destroy", "alpha");
        await hosts.libvirt(1).virsh("destroy", "gamma");
        await untilNoLock(hosts);
        await losePower(hosts);
        await hosts.untilRuns(0, "alpha");
        await hosts.untilRuns(1, "gamma");
        await hosts.runsOn(0, "alpha", LOCKS);
        await hosts.runsOn(1, "gamma", LOCKS - 1);
      },
    );

    await t.step("all lose their power while guests run: a person says that they are gone", async () => {
      await losePower(hosts);
      const guests = [[0, "alpha", LOCKS], [1, "gamma", LOCKS - 1]] as const;
      for (const [end, guest] of guests) {
        await hosts.untilLive(end);
        assert.match(await hosts.libvirt(end).virshError("start", guest), /virtlockd cluster fence/);
      }
      for (const host of ["one", "two"]) await hosts.fence(host, 0);
      for (const [end, guest, locks] of guests) {
        await hosts.libvirt(end).virsh("start", guest);
        await hosts.runsOn(end, guest, locks);
      }
    });
  });
}
