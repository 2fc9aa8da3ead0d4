import assert from "node:assert/strict";
import { CommandError } from "./support/command.ts";
import { defineGuests, type Guests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { isLockable } from "./support/kernel_locks.ts";
import type { Libvirt } from "./support/libvirt.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install, NEXT_VERSION } from "./support/packages.ts";
import { until } from "../support/until.ts";
import { THOROUGH } from "../support/thorough.ts";

// The daemon dies and comes back under a real systemd, which keeps copies of its descriptors meanwhile. What
// must not happen is that anybody gets a lock of a running guest, or that the guest loses its connection and
// is killed for it.

const KILL = "systemctl kill --kill-whom=main --signal=KILL virtlockd.service";
const RESTART = "systemctl restart virtlockd.service";
/** How often the daemon is killed while a guest is started, and while it is ended. */
const ROUNDS = THOROUGH ? 10 : 3;

Deno.test("The locks and clients of running guests outlive the daemon's process", async (t) => {
  await using machine = await Machine.boot();
  const service = new LockService(machine);
  await install(machine, await debianPackage());
  const guests = await defineGuests(machine);
  const { libvirt, disk, lease } = guests;
  await libvirt.virsh("start", "alpha");
  const connection = await lockClients(guests);
  const guest = await libvirt.guestPid("alpha");
  const prober = await LockProber.start(machine, disk, lease);

  /** What has to hold after each blow. */
  const unharmed = async () => {
    // Who was refused before may be connected for a moment longer.
    await until("the connections to be those", async () => await lockClients(guests) === connection);
    assert.equal(await libvirt.guestPid("alpha"), guest);
    assert.equal((await libvirt.virsh("domstate", "alpha")).trim(), "running");
    assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
  };

  await t.step("kill -9, five times", async () => {
    for (let restarts = 1; restarts <= 5; restarts++) {
      await replaced(machine, service, KILL);
      assert.equal((await service.properties("NRestarts")).NRestarts, String(restarts));
      await unharmed();
    }
  });

  await t.step("systemctl restart", async () => {
    await replaced(machine, service, RESTART);
    await unharmed();
  });

  await t.step(
    "signals that would end it, of which systemd was not told, to it alone and to its service",
    async () => {
      const signals = ["--signal=TERM", "--kill-whom=main --signal=TERM", "--kill-whom=main --signal=INT"];
      for (const signal of signals) {
        await replaced(machine, service, `systemctl kill ${signal} virtlockd.service`);
        await unharmed();
      }
      await until("the log", async () => {
        const entries = await machine.sh(
          "journalctl --sync; journalctl --no-pager --output=cat --identifier=virtlockd",
        );
        return entries.split("of the guest 'alpha', which systemd was not told to do").length === 4;
      });
    },
  );

  await t.step("kill -9 after a reload and a reload after kill -9", async () => {
    await service.reload();
    await replaced(machine, service, KILL);
    await unharmed();
    await service.reload();
    await unharmed();
  });

  await t.step("an upgrade of the package, and kill -9 after it", async () => {
    const daemon = await service.pid();
    await install(machine, await debianPackage(NEXT_VERSION));
    assert.equal((await service.status()).version, NEXT_VERSION);
    assert.equal(await service.pid(), daemon);
    await unharmed();
    await replaced(machine, service, KILL);
    await unharmed();
  });

  await t.step("kill -9, and a program that does not start for a while", async () => {
    const restarts = async () => Number((await service.properties("NRestarts")).NRestarts);
    const before = await restarts();
    await machine.sh(`
      mv /usr/sbin/virtlockd /usr/sbin/virtlockd.good
      printf '#!/bin/sh\\nexit 1\\n' >/usr/sbin/virtlockd
      chmod +x /usr/sbin/virtlockd
      ${KILL}
    `);
    // More often than systemd's usual start limit bears.
    await until("vain restarts", async () => await restarts() > before + 6);
    await machine.sh("mv /usr/sbin/virtlockd.good /usr/sbin/virtlockd");
    await service.untilState("active");
    await unharmed();
  });

  await t.step("kill -9 while libvirtd starts and stops a guest", async () => {
    const other = await defineGamma(libvirt);
    // The window that docs/crash-safety.md names: a connection that is accepted but not stored ends, and
    // libvirtd says so.
    let lost = 0;
    const gamma = async (command: string) => {
      try {
        await libvirt.virsh(command, "gamma");
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        lost++;
        await libvirt.virsh(command, "gamma");
      }
    };
    for (let round = 1; round <= ROUNDS; round++) {
      await Promise.all([gamma("start"), replaced(machine, service, KILL)]);
      assert.equal(await isLockable(machine, other), false, `round ${round}`);
      await Promise.all([gamma("destroy"), replaced(machine, service, KILL)]);
      await until("gamma's disk to be free", () => isLockable(machine, other));
    }
    assert.ok(lost <= ROUNDS, `${lost} of ${2 * ROUNDS} commands lost their connection`);
    await unharmed();
  });

  await prober.neverGranted(1000);

  await t.step("the guest's end frees its locks, copies in systemd or not", async () => {
    await libvirt.virsh("destroy", "alpha");
    await until("the disk to be free", () => isLockable(machine, disk));
    await libvirt.virsh("start", "beta");
  });

  await t.step("removing hands the locks to libvirt's daemon, and systemd keeps no copies", async () => {
    await machine.sh("apt-get remove -q -y deno-virtlockd");
    assert.match(await libvirt.virshError("start", "alpha"), /Lockspace resource 'database' is locked\n/);
    await libvirt.virsh("destroy", "beta");
    await until("the lease to be free", () => isLockable(machine, lease));
  });
});

Deno.test("Locks of a guest that ended while no daemon ran are freed, those of others are not", async () => {
  await using machine = await Machine.boot();
  const service = new LockService(machine);
  await install(machine, await debianPackage());
  const { libvirt, disk } = await defineGuests(machine);
  const other = await defineGamma(libvirt);
  await libvirt.virsh("start", "alpha");
  await libvirt.virsh("start", "gamma");
  const daemon = await service.pid();
  // The next daemon has never seen what the guest wrote: of the lease nothing can be known, and its lock is
  // given up at the bound, which the guest that asks next waits for.
  await machine.sh("echo 'settle_timeout = 2' >>/etc/libvirt/virtlockd.conf");

  await machine.sh(
    `kill -STOP ${daemon}; kill -KILL ${await libvirt.guestPid("alpha")}; kill -KILL ${daemon}`,
  );
  await until("the disk to be free", () => isLockable(machine, disk));
  assert.equal(await isLockable(machine, other), false);
  await until(
    "libvirtd to notice",
    async () => (await libvirt.virsh("domstate", "alpha")).startsWith("shut off"),
  );
  await libvirt.virsh("start", "beta");
});

/** Does something after which another process is the daemon, and waits until that one serves. */
async function replaced(machine: Machine, service: LockService, command: string): Promise<void> {
  const before = await service.pid();
  await machine.sh(command);
  await until("a new process", async () => {
    const pid = await service.pid();
    return pid !== 0 && pid !== before;
  });
  await service.untilState("active");
}

/** Defines a guest with a disk, which it returns, and no lease. */
async function defineGamma(libvirt: Libvirt): Promise<string> {
  const path = await libvirt.createDisk("gamma.qcow2");
  const uuid = "bbbbbbbb-cccc-dddd-eeee-ffffffffffff";
  await libvirt.define({ name: "gamma", uuid, disks: [{ path, format: "qcow2" }] });
  return path;
}

/**
 * The connected lock clients with the time at which each of them came, from the table that virt-admin prints.
 */
async function lockClients({ libvirt }: Guests): Promise<string> {
  return await libvirt.virtAdmin("client-list", "virtlockd");
}
