import assert from "node:assert/strict";
import { Etcd } from "../support/etcd.ts";
import { until } from "../support/until.ts";
import { installMissing } from "./support/debian_packages.ts";
import { host, runOk } from "./support/command.ts";
import { Libvirt } from "./support/libvirt.ts";
import { ADDRESSES, linkMachines } from "./support/network_link.ts";
import { Machine } from "./support/nspawn.ts";
import { clusterPackage, debianPackage, install } from "./support/packages.ts";
import type { Release } from "./support/releases.ts";

// Two hosts of a cluster with real guests of ten disks: what libvirt does with its locks in etcd. The disks
// are on storage that both share, the lock directories are each host's own. On demand, as root: two minutes.

/** Hosts of these releases; e.g. `trixie,trixie`, or `bookworm,trixie`. */
const [FROM = "bookworm", TO = "bookworm"] = (Deno.env.get("VIRTLOCKD_TEST_CLUSTER") ?? "bookworm,bookworm")
  .split(",") as Release[];
/** How often the guest is migrated, and how often in vain. */
const MIGRATIONS = Number(Deno.env.get("VIRTLOCKD_TEST_MIGRATIONS") ?? 2);
/** How long etcd is away, in seconds. */
const OUTAGE = Number(Deno.env.get("VIRTLOCKD_TEST_OUTAGE") ?? 12);

const HOST_UUIDS = ["0a000000-0000-4000-8000-000000000001", "0a000000-0000-4000-8000-000000000002"] as const;
const NAMES = ["one", "two"] as const;
const MEMBERS = ["10.77.0.11", "10.77.0.12", "10.77.0.13"] as const;
const PREFIX = "/virtlockd/prod/";
const DISKS = 10;
const ALPHA = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
const BETA = { name: "beta", uuid: "66666666-7777-8888-9999-aaaaaaaaaaaa" };

/** Starts three members of etcd in a machine's network. */
async function startEtcd({ init }: Machine): Promise<Etcd> {
  await installMissing(["etcd-server", "etcd-client"]);
  const launcher = ["nsenter", `--target=${init}`, "--net", "--"];
  const device = `lab${init}`;
  for (const address of MEMBERS) {
    await runOk(host, [...launcher, "ip", "address", "add", `${address}/24`, "dev", device]);
  }
  const etcd = await Etcd.startOn(MEMBERS.map((address) => ({ address, launcher })), launcher);
  await etcd.openCluster("prod", ["disks", "leases"]);
  return etcd;
}

/** Makes a machine a host of the cluster, with lock directories of its own. */
async function join(machine: Machine, index: 0 | 1, etcd: Etcd): Promise<Libvirt> {
  const libvirt = new Libvirt(machine, "/var/lib/guests");
  await libvirt.configure({ indirectDisks: true });
  await machine.sh(`
    mkdir -p ${libvirt.diskLockspace} ${libvirt.leaseLockspace}
    mount -t tmpfs tmpfs ${libvirt.diskLockspace}
    mount -t tmpfs tmpfs ${libvirt.leaseLockspace}
    chmod 0700 ${libvirt.diskLockspace} ${libvirt.leaseLockspace}
    printf 'auth_tcp = "none"\\nhost_uuid = "${HOST_UUIDS[index]}"\\n' >>/etc/libvirt/libvirtd.conf
    systemctl stop libvirtd.service
    systemctl start libvirtd-tcp.socket libvirtd.service
  `);
  await install(machine, await debianPackage());
  await install(machine, await clusterPackage());
  const endpoints = etcd.urls.map((url) => `"${url}"`).join(", ");
  const settings = `settle_timeout = 1\\ncluster_endpoints = [ ${endpoints} ]\\ncluster_name = "prod"\\n` +
    `cluster_host_id = "${NAMES[index]}"\\n` +
    `cluster_lockspaces = [ "disks=${libvirt.diskLockspace}", "leases=${libvirt.leaseLockspace}" ]\\n`;
  await machine.sh(`printf '${settings}' >/etc/libvirt/virtlockd.conf
    systemctl start virtlockd; virtlockd reload`);
  await untilLive(machine);
  return libvirt;
}

async function untilLive(machine: Machine): Promise<void> {
  await until("the host to be a member", async () => {
    const { sections: { cluster } } = JSON.parse(await machine.sh("virtlockd status --json"));
    return cluster.state === "live" && cluster.reason === undefined;
  }, 30_000);
}

if (Deno.env.get("VIRTLOCKD_TEST_CLUSTER") !== undefined) {
  Deno.test(`A guest of ten disks lives on two hosts of a cluster (${FROM}, ${TO})`, async (t) => {
    const storage = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-shared-" });
    try {
      await using one = await Machine.boot(FROM, { guests: storage });
      await using two = await Machine.boot(TO, { guests: storage });
      await linkMachines([one, two]);
      await using etcd = await startEtcd(one);
      const here = await join(one, 0, etcd);
      const there = await join(two, 1, etcd);
      const disks = [];
      for (let number = 0; number < DISKS; number++) {
        disks.push({ path: await here.createDisk(`disk${number}.qcow2`), format: "qcow2" } as const);
      }
      // QEMU locks images itself: what only the cluster can refuse is a lease.
      const leases = [await here.createLease("database")];
      await there.createLease("database");
      await here.define({ ...ALPHA, disks, leases });
      const path = await there.createDisk("beta.qcow2");
      await there.define({ ...BETA, disks: [{ path, format: "qcow2" }], leases });
      const migrate = (from: Libvirt, to: 0 | 1) =>
        from.run([
          ...[
            "virsh",
            "-q",
            "-c",
            "qemu:///system",
            "migrate",
            "--live",
            "--unsafe",
            "--persistent",
            "alpha",
          ],
          ...[`qemu+tcp://${ADDRESSES[to]}/system`, "--migrateuri", `tcp://${ADDRESSES[to]}`],
        ]);
      /** Sessions that have a lock, one for each lock. */
      const sessions = async (): Promise<string[]> => {
        const found = await etcd.keys(`${PREFIX}lock/`);
        return [...found.values()].map((value) => (JSON.parse(value) as { session: string }).session);
      };
      /** All of the guest's locks are one host's. */
      const runsOn = async (libvirt: Libvirt) => {
        assert.equal((await libvirt.virsh("domstate", "alpha")).trim(), "running");
        const all = await sessions();
        assert.equal(all.length, DISKS + 1);
        assert.equal(new Set(all).size, 1);
      };

      await t.step("a guest that runs on one host is refused on the other", async () => {
        await here.virsh("start", "alpha");
        await runsOn(here);
        assert.match(
          await there.virshError("start", "beta"),
          /is locked by domain 'alpha' \(uuid 1{8}-.*, pid \d+\) since .* on host/,
        );
      });

      await t.step(`${MIGRATIONS} migrations there and back`, async () => {
        for (let round = 0; round < MIGRATIONS; round++) {
          assert.deepEqual(await migrate(here, 1), { code: 0, stdout: "", stderr: "" });
          await runsOn(there);
          assert.deepEqual(await migrate(there, 0), { code: 0, stdout: "", stderr: "" });
          await runsOn(here);
        }
      });

      await t.step("a migration in vain: the guest runs on where it was", async () => {
        for (let round = 0; round < MIGRATIONS; round++) {
          // The destination is asked for its locks when the guest has stopped here already.
          await two.sh("systemctl stop virtlockd-cluster.socket 'virtlockd-cluster@*'");
          const { code, stderr } = await migrate(here, 1);
          assert.equal(code, 1, stderr);
          await until("the guest to run", async () => {
            return (await here.virsh("domstate", "alpha")).trim() === "running";
          });
          await two.sh("systemctl start virtlockd-cluster.socket");
          await untilLive(two);
          await runsOn(here);
        }
      });

      await t.step(`etcd is away for ${OUTAGE} s: the guest is suspended, resumed, and runs on`, async () => {
        etcd.stop();
        const begun = performance.now();
        await here.virsh("suspend", "alpha");
        await here.virsh("resume", "alpha");
        await until("it to be noticed", async () => {
          return /etcd|answer/.test(await there.virshError("start", "beta"));
        }, 30_000);
        const left = OUTAGE * 1000 - (performance.now() - begun);
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, left)));
        assert.equal((await here.virsh("domstate", "alpha")).trim(), "running");
        etcd.resume();
        await untilLive(one);
        await untilLive(two);
        await runsOn(here);
      });

      await t.step("a host dies: its locks stay until somebody says that it is down", async () => {
        const command = `virtlockd cluster fence one --yes`;
        const refused = await two.run(["sh", "-c", command]);
        assert.notEqual(refused.code, 0);
        assert.match(await there.virshError("start", "beta"), /is locked by domain 'alpha'/);
        await one.sh("kill -KILL $(cat /run/libvirt/qemu/alpha.pid); systemctl kill --signal=STOP virtlockd");
        // Its last lease of ten seconds ends.
        await until(
          "it not to be heard of",
          async () => (await etcd.keys(`${PREFIX}host/one`)).size === 0,
          30_000,
        );
        assert.match(await there.virshError("start", "beta"), /is locked by domain 'alpha'/);
        await two.sh(`${command} --dead`);
        await there.virsh("start", "beta");
        await until("its locks", async () => (await sessions()).length === 2);
      });
    } finally {
      await Deno.remove(storage, { recursive: true });
    }
  });
}
