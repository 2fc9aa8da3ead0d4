import assert from "node:assert/strict";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { isLockable } from "./support/kernel_locks.ts";
import { LibvirtPackages } from "./support/libvirt_packages.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install, installByApt, NEXT_VERSION } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";
import { THOROUGH } from "../support/thorough.ts";

// The life of a host with a running guest, from libvirt's daemon to ours, through everything that an
// administrator or an accident does to it, and back. Another process asks for the guest's locks all the time
// and must never get one.

const KILL = "systemctl kill --kill-whom=main --signal=KILL virtlockd.service";

for (const release of releasesToTest("newest")) {
  Deno.test(`On ${release} a guest's locks are held through the whole life of our package`, async (t) => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    const packages = await LibvirtPackages.of(machine);
    const { libvirt, disk, lease } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const guest = await libvirt.guestPid("alpha");
    const prober = await LockProber.start(machine, disk, lease);

    /** Our daemon serves, and the guest is what it was. */
    const served = async () => {
      await service.untilState("active");
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
      assert.equal(await libvirt.guestPid("alpha"), guest);
      assert.equal((await libvirt.virsh("domstate", "alpha")).trim(), "running");
    };
    /** Something that must not change the daemon's process. */
    const inPlace = async (what: () => Promise<void>) => {
      const before = await service.pid();
      await what();
      assert.equal(await service.pid(), before);
      await served();
    };
    /** Something after which another process is the daemon. */
    const anew = async (what: string) => {
      const before = await service.pid();
      await machine.sh(what);
      await until("a new process", async () => ![0, before].includes(await service.pid()));
      await served();
    };

    await t.step("installing over libvirt's daemon, and kill -9 right afterwards", async () => {
      await inPlace(async () => await install(machine, await debianPackage()));
      // No daemon has been started that would have brought it along.
      assert.equal(await machine.sh("systemctl is-active virtlockd-deputy.socket"), "active\n");
      await anew(KILL);
    });

    await t.step("a restart, a reload, and kill -9 again", async () => {
      await anew("systemctl restart virtlockd.service");
      await inPlace(() => service.reload());
      await anew(KILL);
    });

    await t.step("a restart of the admin socket, and its loss", async () => {
      await inPlace(async () => {
        // systemd starts no socket whose service runs: it fails, and has stopped it by then.
        await machine.run(["systemctl", "restart", "virtlockd-admin.socket"]);
        assert.equal((await service.status()).pid, await service.pid());
        await machine.sh("rm /run/libvirt/virtlockd-admin-sock");
        await until("the admin socket", async () => (await machine.run(["virtlockd", "status"])).code === 0);
      });
      await anew("systemctl restart virtlockd.service");
      assert.equal((await service.status()).pid, await service.pid());
      assert.match(await machine.sh("systemctl is-active virtlockd-admin.socket"), /^active\n$/);
    });

    await t.step("libvirt's packages upgraded; or installed again, upgraded and downgraded", async () => {
      // Each of the three has the same scripts run, for half a minute.
      if (THOROUGH) await inPlace(() => packages.reinstall());
      await inPlace(() => packages.upgrade());
      if (THOROUGH) await inPlace(() => packages.downgrade());
    });

    await t.step("our package installed again, upgraded and downgraded", async () => {
      await inPlace(async () => await install(machine, await debianPackage()));
      await inPlace(async () => await installByApt(machine, await debianPackage(NEXT_VERSION)));
      assert.equal((await service.status()).version, NEXT_VERSION);
      await inPlace(async () => await install(machine, await debianPackage()));
      await anew(KILL);
    });

    await t.step("removing ours, installing it again, and purging it", async () => {
      for (const command of ["remove", "purge"]) {
        const before = await service.pid();
        const cursor = /cursor: (.*)/.exec(await machine.sh("journalctl --lines=0 --show-cursor"))?.[1] ?? "";
        await machine.sh(`apt-get ${command} -q -y deno-virtlockd`);
        assert.equal(await service.pid(), before);
        assert.match(await libvirt.virshError("start", "beta"), /Lockspace resource 'database' is locked\n/);
        assert.match(
          await machine.sh(`readlink /proc/${before}/exe`),
          /^\/usr\/sbin\/virtlockd\n$/,
        );
        // Nobody who reads the journal is to be alarmed.
        const journal = await machine.sh(
          `journalctl --no-pager --quiet --output=cat --priority=warning --after-cursor='${cursor}' ` +
            `_PID=1 + _PID=${before}`,
        );
        assert.equal(journal.replaceAll(/.*resource busy.*\n/g, ""), "");
        assert.equal(await packages.changes(), "");
        assert.equal(await machine.sh("dpkg-divert --list '*virtlock*'"), "");
        const ours = "-lname '/usr/lib/virtlockd/*' -o -name 'virtlockd*.libvirt*'";
        assert.equal(await machine.sh(`find /etc /usr /var -xdev \\( ${ours} \\) -print`), "");
        if (command === "remove") await inPlace(async () => await install(machine, await debianPackage()));
      }
    });

    await prober.neverGranted(1000);

    await t.step("libvirt's units are removed: ours goes along, and the daemon ends", async () => {
      await install(machine, await debianPackage());
      await libvirt.virsh("destroy", "alpha");
      await until("the disk to be free", () => isLockable(machine, disk));
      await machine.sh(`apt-get remove -q -y ${packages.unitOwner}`);
      const state = await machine.run([
        "dpkg-query",
        "--show",
        "--showformat=${db:Status-Status}",
        "deno-virtlockd",
      ]);
      assert.equal(state.stdout, "config-files");
      assert.equal(await service.pid(), 0);
    });
  });
}
