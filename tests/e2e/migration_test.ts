import assert from "node:assert/strict";
import type { ClientEntry, LockEntry } from "../../src/lockd/status/status_document.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { defineGuests } from "./support/guests.ts";
import { isLockable } from "./support/kernel_locks.ts";
import { Libvirt } from "./support/libvirt.ts";
import { LockService } from "./support/lock_service.ts";
import { ADDRESSES, linkMachines } from "./support/network_link.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";
import { until } from "../support/until.ts";

// Live migration between two hosts that share their storage. One kernel serves both, so each sees the other's
// locks as it would on storage with locks across hosts.

const HOST_UUIDS = ["0a000000-0000-4000-8000-000000000001", "0a000000-0000-4000-8000-000000000002"] as const;

const ALPHA_UUID = "11111111-2222-3333-4444-555555555555";
const BETA = { name: "beta", uuid: "66666666-7777-8888-9999-aaaaaaaaaaaa" };

/** Waits for the lock on byte 0 of a file, and keeps it for as long as it lives. */
const STRANGER = `
import fcntl, sys, time
file = open(sys.argv[1], "r+b")
open(sys.argv[1] + ".waits", "w").close()
fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
open(sys.argv[1] + ".taken", "w").close()
time.sleep(600)
`;

/** Another guest of a machine, as its daemon knows it: it speaks through the daemon's socket alone. */
async function connectBeta(machine: Machine): Promise<LockClient> {
  const client = await LockClient.connect(machine.outside("/run/libvirt/virtlockd-sock"));
  await client.register({ ...testOwner(4_242_001), ...BETA });
  return client;
}

Deno.test("A guest is migrated between two hosts and back, and so are its locks; what fails leaves them where they were", async (t) => {
  const storage = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-shared-" });
  try {
    await using one = await Machine.boot("trixie", { guests: storage });
    await using two = await Machine.boot("trixie", { guests: storage });
    await linkMachines([one, two]);
    const { libvirt: here, disk, lease } = await defineGuests(one);
    const there = new Libvirt(two, "/var/lib/guests");
    await there.configure();
    for (const [index, machine] of [one, two].entries()) {
      await machine.sh(`
        printf 'auth_tcp = "none"\\nhost_uuid = "${HOST_UUIDS[index]}"\\n' >>/etc/libvirt/libvirtd.conf
        systemctl stop libvirtd.service
        systemctl start libvirtd-tcp.socket libvirtd.service
      `);
      await install(machine, await debianPackage());
    }
    await here.virsh("start", "alpha");
    const migrate = (from: Libvirt, to: 0 | 1, ...more: string[]) =>
      from.run([
        ...["virsh", "-q", "-c", "qemu:///system", "migrate", "--live", "--unsafe", ...more, "alpha"],
        ...[`qemu+tcp://${ADDRESSES[to]}/system`, "--migrateuri", `tcp://${ADDRESSES[to]}`],
      ]);
    const locks = async (machine: Machine): Promise<string[]> => {
      const entries: LockEntry[] = JSON.parse(await machine.sh("virtlockd locks --json"));
      return entries.map(({ resource, state }) => `${resource} ${state}`).sort();
    };
    const both = ["/var/lib/guests/alpha.qcow2 held", "database held"];
    /** Where the guest runs, and where it does not. */
    const runsOn = async (machine: Machine, other: Machine) => {
      assert.deepEqual(await locks(machine), both);
      assert.deepEqual(await locks(other), []);
      for (const path of [disk, lease]) assert.equal(await isLockable(machine, path), false);
    };

    await t.step("there and back, twice", async () => {
      for (let round = 0; round < 2; round++) {
        assert.deepEqual(await migrate(here, 1), { code: 0, stdout: "", stderr: "" });
        await runsOn(two, one);
        assert.match(await here.virshError("start", "beta"), /Lockspace resource 'database' is locked/);
        assert.deepEqual(await migrate(there, 0), { code: 0, stdout: "", stderr: "" });
        await runsOn(one, two);
      }
    });

    await t.step("while both daemons are killed and execute themselves anew", async () => {
      const services = [new LockService(one), new LockService(two)];
      const blow = async () => {
        const killed = [await services[0]?.pid(), await services[1]?.pid()];
        for (const machine of [one, two]) {
          await machine.sh("systemctl kill --kill-whom=main --signal=KILL virtlockd.service");
        }
        for (const [index, service] of services.entries()) {
          // systemd may not know yet that the killed one has ended.
          await until("another process", async () => ![0, killed[index]].includes(await service.pid()));
          await service.untilState("active");
        }
      };
      await blow();
      assert.deepEqual(await migrate(here, 1), { code: 0, stdout: "", stderr: "" });
      await blow();
      for (const service of services) await service.reload();
      await runsOn(two, one);
      assert.deepEqual(await migrate(there, 0), { code: 0, stdout: "", stderr: "" });
      await runsOn(one, two);
    });

    await t.step("a destination without a lock daemon refuses, and nothing has moved", async () => {
      await two.sh("systemctl stop virtlockd.socket virtlockd-admin.socket virtlockd.service");
      const { code, stderr } = await migrate(here, 1);
      assert.equal(code, 1);
      assert.match(stderr, /virtlockd-sock/);
      assert.deepEqual(await locks(one), both);
      await two.sh("systemctl start virtlockd.socket virtlockd-admin.socket");
    });

    await t.step(
      "a stranger takes the lock on the way: the guest stands still until that has gone",
      async () => {
        await two.sh(`exec python3 -c '${STRANGER}' '${lease}' & echo $! >/run/stranger`);
        await until(
          "the stranger to wait",
          async () => (await two.run(["test", "-e", `${lease}.waits`])).code === 0,
        );
        const { code, stderr } = await migrate(here, 1);
        assert.equal(code, 1);
        assert.match(stderr, /'database' is locked/);
        await until(
          "the stranger's lock",
          async () => (await two.run(["test", "-e", `${lease}.taken`])).code === 0,
        );
        assert.equal((await here.virsh("domstate", "alpha")).trim(), "paused");
        assert.match(await here.virshError("resume", "alpha"), /'database' is locked/);
        assert.equal((await here.virsh("domstate", "alpha")).trim(), "paused");
        await two.sh("kill $(cat /run/stranger)");
        await until("the lease to be free", () => isLockable(one, lease));
        await here.virsh("resume", "alpha");
        await runsOn(one, two);
      },
    );

    /** Takes the guest's own connection from it: what it has then, libvirtd has asked for over its own. */
    const loseConnection = async () => {
      await one.sh(`
        systemctl stop virtlockd.socket virtlockd-admin.socket virtlockd.service
        systemctl start virtlockd.socket virtlockd-admin.socket
      `);
      await here.virsh("suspend", "alpha");
      await here.virsh("resume", "alpha");
      const clients: ClientEntry[] = JSON.parse(await one.sh("virtlockd clients --json"));
      assert.deepEqual(clients.filter(({ owner }) => owner?.uuid === ALPHA_UUID), []);
    };
    /** A migration that is refused when the guest has stopped here already, and given its locks up. */
    const migrateInVain = async () => {
      // A file of the destination's own in place of the lease can be locked while the guest has the other.
      await two.sh(`touch /run/lease; mount --bind /run/lease '${lease}'`);
      await using other = await connectBeta(two);
      await other.acquire(`${here.directory}/leases`, "database");
      const { code, stderr } = await migrate(here, 1);
      assert.equal(code, 1);
      assert.match(stderr, /'database' is locked by domain 'beta'/);
      await other.release(`${here.directory}/leases`, "database");
      await two.sh(`umount --lazy '${lease}'`);
      await until("the guest to run here", async () => {
        return (await here.virsh("domstate", "alpha")).trim() === "running";
      });
      await runsOn(one, two);
    };
    /** Processes of which a machine's daemon says that they own the guest's locks. */
    const owners = async (machine: Machine): Promise<string[]> => {
      const entries: LockEntry[] = JSON.parse(await machine.sh("virtlockd locks --json"));
      return entries.flatMap(({ holders }) => holders.map(({ domain, pid }) => `${domain} ${pid}`));
    };
    const gone = async (machine: Machine) => {
      // One that ends before the daemon has seen its disks keeps the lease until settle_timeout, 30 s.
      for (const path of [disk, lease]) {
        await until(`${path} to be free`, () => isLockable(machine, path));
      }
      assert.deepEqual([await locks(one), await locks(two)], [[], []]);
    };

    await t.step("a paused guest is moved without its locks, and gets them where it is resumed", async () => {
      const journeys = [[here, one, there, two, 1], [there, two, here, one, 0]] as const;
      for (const [from, source, to, destination, end] of journeys) {
        await from.virsh("suspend", "alpha");
        assert.deepEqual(await migrate(from, end), { code: 0, stdout: "", stderr: "" });
        assert.equal((await to.virsh("domstate", "alpha")).trim(), "paused");
        assert.deepEqual([await locks(one), await locks(two)], [[], []]);
        for (const path of [disk, lease]) assert.equal(await isLockable(destination, path), true);
        await to.virsh("resume", "alpha");
        await runsOn(destination, source);
      }
    });

    await t.step("a paused guest whose disk another one has used is not resumed on this host", async () => {
      await here.virsh("suspend", "alpha");
      {
        await using other = await connectBeta(one);
        await other.acquire("", disk);
        await other.release("", disk);
      }
      assert.match(
        await here.virshError("resume", "alpha"),
        /was in use by domain 'beta' .* while domain 'alpha' .* was paused/,
      );
      assert.equal(await isLockable(one, disk), true);
      await here.virsh("destroy", "alpha");
      await gone(one);
      await here.virsh("start", "alpha");
      await runsOn(one, two);
    });

    await t.step(
      "a guest without a connection of its own takes its locks with it, or keeps them",
      async () => {
        await loseConnection();
        const owner = `alpha ${await here.guestPid("alpha")}`;
        assert.deepEqual(await owners(one), [owner, owner]);
        await migrateInVain();
        assert.deepEqual(await owners(one), [owner, owner]);
        assert.deepEqual(await migrate(here, 1), { code: 0, stdout: "", stderr: "" });
        await runsOn(two, one);
        await there.virsh("destroy", "alpha");
        await gone(two);
      },
    );

    await t.step("a guest that is killed after a migration in vain leaves no lock", async () => {
      for (const prepare of [() => Promise.resolve(), loseConnection]) {
        await here.virsh("start", "alpha");
        await prepare();
        await migrateInVain();
        await one.sh("kill -KILL $(cat /run/libvirt/qemu/alpha.pid)");
        await gone(one);
      }
      await here.virsh("start", "alpha");
      await runsOn(one, two);
    });
  } finally {
    await Deno.remove(storage, { recursive: true });
  }
});
