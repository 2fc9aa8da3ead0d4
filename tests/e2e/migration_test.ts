import assert from "node:assert/strict";
import type { LockEntry } from "../../src/lockd/status/status_document.ts";
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

/** Asks for the lock on byte 0 of a file until it gets it, and keeps it for as long as it lives. */
const STRANGER = `
import fcntl, os, sys, time
file = open(sys.argv[1], "r+b")
while True:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
        break
    except BlockingIOError:
        pass
open(sys.argv[1] + ".taken", "w").close()
time.sleep(600)
`;

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
  } finally {
    await Deno.remove(storage, { recursive: true });
  }
});
