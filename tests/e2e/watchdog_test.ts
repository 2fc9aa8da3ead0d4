import assert from "node:assert/strict";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { isLockable } from "./support/kernel_locks.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";

// systemd's watchdog, which the daemon arms itself: a hung one is replaced, and libvirt's is never killed.

const INTERVAL_MS = 20_000;

// It takes three minutes, mostly of waiting: of CI's releases the one whose systemd is newer.
for (const release of releasesToTest().slice(-1)) {
  Deno.test(`a hung daemon is replaced, and libvirt's own outlives three intervals after a removal: ${release}`, async (t) => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    await install(machine, await debianPackage());
    const { libvirt, disk, lease } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const prober = await LockProber.start(machine, disk, lease);

    await t.step("it is armed by the daemon and not by the unit", async () => {
      await until(
        "the watchdog",
        async () => (await service.properties("WatchdogUSec")).WatchdogUSec === "20s",
      );
      assert.equal(
        await machine.sh("systemctl cat virtlockd.service | grep -c ^WatchdogSec= || true"),
        "0\n",
      );
    });

    await t.step("a daemon that hangs is killed and started again with every lock", async () => {
      const hung = await service.pid();
      await machine.sh(`kill -STOP ${hung}`);
      await until("another daemon", async () => ![0, hung].includes(await service.pid()));
      await service.untilState("active");
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    });

    await t.step("a reload keeps it", async () => {
      await service.reload();
      assert.equal((await service.properties("WatchdogUSec")).WatchdogUSec, "20s");
    });

    await t.step("libvirt's daemon lives on after a removal", async () => {
      const daemon = await service.pid();
      await machine.sh("apt-get remove -q -y deno-virtlockd");
      assert.ok(["0", "infinity"].includes((await service.properties("WatchdogUSec")).WatchdogUSec));
      await new Promise((resolve) => setTimeout(resolve, 3 * INTERVAL_MS + 5000));
      assert.equal(await service.pid(), daemon);
      assert.equal(await isLockable(machine, disk), false);
      assert.match(await libvirt.virshError("start", "beta"), /Lockspace resource 'database' is locked/);
    });

    await prober.neverGranted(1000);
  });
}
