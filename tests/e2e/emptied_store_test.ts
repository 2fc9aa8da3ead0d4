import assert from "node:assert/strict";
import { defineGuests, type Guests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { isLockable } from "./support/kernel_locks.ts";
import type { Libvirt } from "./support/libvirt.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService, statusOf } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";

// systemd gives up the copies of the daemon's descriptors while guests run, for every reason that it has, and
// tells nobody. What must not happen is that a lock of a running guest is free without a word.

const DROP_IN = "/etc/systemd/system/virtlockd.service.d";
const KILL = "systemctl kill --kill-whom=main --signal=KILL virtlockd.service";

/** What the tests look at in the section of the store in the daemon's status. */
interface StoreSection {
  readonly kept: boolean;
  readonly stored: number;
  readonly refused: number;
  readonly reason?: string;
}

/** A machine with our daemon, and a guest that runs. */
class Site implements AsyncDisposable {
  readonly machine: Machine;
  readonly service: LockService;
  readonly libvirt: Libvirt;
  readonly disk: string;
  readonly guest: number;

  private constructor(machine: Machine, libvirt: Libvirt, disk: string, guest: number) {
    this.machine = machine;
    this.service = new LockService(machine);
    this.libvirt = libvirt;
    this.disk = disk;
    this.guest = guest;
  }

  /** @param guests defined and one of them started, if they are already */
  static async start(machine: Machine, guests?: Guests): Promise<Site> {
    await install(machine, await debianPackage());
    const { libvirt, disk } = guests ?? await defineGuests(machine);
    if (guests === undefined) await libvirt.virsh("start", "alpha");
    return new Site(machine, libvirt, disk, await libvirt.guestPid("alpha"));
  }

  async store(): Promise<StoreSection> {
    return (await statusOf<{ sections: { store: StoreSection } }>(this.machine)).sections.store;
  }

  /** How many descriptors systemd has. */
  async kept(): Promise<number> {
    return Number((await this.service.properties("NFileDescriptorStore")).NFileDescriptorStore);
  }

  /** Waits until systemd has everything, by its own word and the daemon's. */
  async untilKept(): Promise<void> {
    await until("systemd to have everything", async () => {
      const { kept, stored, refused } = await this.store();
      // The connection that asks is counted, and has ended by then.
      return kept && refused === 0 && stored > 3 && await this.kept() === stored - 1;
    }, 90_000);
  }

  /** Waits until the daemon knows that systemd keeps nothing. */
  async untilLost(): Promise<StoreSection> {
    return await until("the daemon to know", async () => {
      const store = await this.store();
      return !store.kept && store.reason !== "systemd has dropped it" && store;
    });
  }

  /** Does something after which another process is the daemon, and waits until that one serves. */
  async replaced(command: string): Promise<void> {
    const before = await this.service.pid();
    await this.machine.sh(command);
    await until("a new process", async () => ![0, before].includes(await this.service.pid()));
    await this.service.untilState("active");
  }

  /** The guest has all its locks, and lives. */
  async unharmed(): Promise<void> {
    assert.equal(await isLockable(this.machine, this.disk), false);
    assert.match(await this.libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    assert.equal(await this.libvirt.guestPid("alpha"), this.guest);
  }

  /** Sets how many descriptors the unit keeps, in a drop-in; undefined: as it says itself. */
  async limit(limit: number | undefined): Promise<void> {
    const text = limit === undefined
      ? `rm -f ${DROP_IN}/zz-store.conf`
      : `mkdir -p ${DROP_IN}; printf '[Service]\\nFileDescriptorStoreMax=${limit}\\n' >${DROP_IN}/zz-store.conf`;
    await this.machine.sh(`${text}; systemctl daemon-reload`);
  }

  /** What the daemons have logged. */
  async log(): Promise<string> {
    // By its own name: of a process that has ended the journal does not always know the unit.
    return await this.machine.sh(
      "journalctl --sync; journalctl --no-pager --output=cat --identifier=virtlockd",
    );
  }

  async untilLogged(pattern: RegExp): Promise<void> {
    await until(String(pattern), async () => pattern.test(await this.log()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
  }
}

for (const release of releasesToTest("newest")) {
  Deno.test(`what systemd drops is stored anew, and what is lost with it is said, and taken again: ${release}`, async (t) => {
    await using machine = await Machine.boot(release);
    const site = await Site.start(machine);
    const prober = await LockProber.start(machine, site.disk);
    const crashes = async () => {
      await site.untilKept();
      await site.replaced(KILL);
      await site.unharmed();
      await site.replaced("systemctl restart virtlockd.service");
      await site.unharmed();
      await site.untilKept();
    };
    await site.untilKept();

    await t.step("a limit of 0 for a moment", async () => {
      await site.limit(0);
      const { reason } = await site.untilLost();
      assert.equal(reason, "FileDescriptorStoreMax= of the service is 0");
      assert.equal(await site.kept(), 0);
      const doctor = await machine.run(["virtlockd", "doctor"]);
      assert.equal(doctor.code, 1);
      assert.match(
        doctor.stdout,
        /PROBLEM {2}crash safety: systemd keeps no copies .* any more \(FileDescriptorStoreMax=/,
      );
      assert.match(await machine.sh("virtlockd metrics"), /^virtlockd_store_kept 0$/m);
      await site.unharmed();
      await site.limit(undefined);
      await site.untilKept();
      // Before the kill: a daemon that is killed has no time to say it.
      await site.untilLogged(/systemd keeps \d+ descriptors of the daemon again/);
      await crashes();
    });

    await t.step("a limit that is lowered below what is kept, and raised again", async () => {
      const before = await site.kept();
      await site.limit(before - 1);
      await until("the daemon to know the limit", async () => {
        const { kept, refused } = await site.store();
        return kept && refused > 0;
      });
      assert.ok(await site.kept() <= before - 1);
      await site.limit(undefined);
      await site.service.reload();
      await crashes();
    });

    await t.step("a reload while nothing is kept, and after it", async () => {
      await site.limit(0);
      await site.service.reload();
      assert.equal((await site.store()).kept, false);
      await site.unharmed();
      await site.limit(undefined);
      await site.service.reload();
      await crashes();
    });

    await t.step(
      "the unit's links are deleted, and its drop-in, and the package is installed anew",
      async () => {
        await machine.sh(`
        mkdir /root/kept
        mv /usr/lib/systemd/system/virtlockd.service.d /etc/systemd/system/virtlockd.service /root/kept/
        systemctl daemon-reload
      `);
        assert.equal((await site.untilLost()).kept, false);
        await site.unharmed();
        await machine.sh("mv /root/kept/virtlockd.service.d /usr/lib/systemd/system/");
        await install(machine, await debianPackage());
        await crashes();
      },
    );

    await t.step("mask and unmask", async () => {
      await machine.sh(`
        mv /etc/systemd/system/virtlockd.service /root/kept/
        systemctl mask virtlockd.service
        systemctl daemon-reload
      `);
      await site.unharmed();
      await machine.sh(`
        systemctl unmask virtlockd.service
        mv /root/kept/virtlockd.service /etc/systemd/system/
        systemctl daemon-reload
      `);
      await crashes();
    });

    await prober.neverGranted(500);

    // From here on locks are lost, which is said.
    const said = async (pattern: RegExp, times: number) => {
      await until(
        `${pattern} ${times} times`,
        async () => (await site.log()).match(pattern)?.length === times,
      );
    };
    const emptied = /systemd no longer had what the last daemon gave it to keep: 2 locks of 'alpha'/g;

    await t.step("kill -9, stop, start", async () => {
      // It is not started again by itself before: that would be after a fifth of a second.
      const late = "/run/systemd/system/virtlockd.service.d/late.conf";
      await machine.sh(`
        mkdir -p $(dirname ${late}); printf '[Service]\\nRestartSec=1h\\n' >${late}; systemctl daemon-reload
        ${KILL}; systemctl stop virtlockd.service
        rm ${late}; systemctl daemon-reload
      `);
      assert.equal(await isLockable(machine, site.disk), true);
      await machine.sh("systemctl start virtlockd.service");
      await site.unharmed();
      await said(emptied, 1);
      await site.untilLogged(/was killed or crashed\. Took over 0 clients and 2 locks of the guest 'alpha'/);
      await site.untilKept();
    });

    await t.step("kill -9 in the moment when the store is emptied, and while it is", async () => {
      await machine.sh(
        `mkdir -p ${DROP_IN}; printf '[Service]\\nFileDescriptorStoreMax=0\\n' >${DROP_IN}/zz-store.conf`,
      );
      await site.replaced(`systemctl daemon-reload; kill -9 ${await site.service.pid()}`);
      await site.unharmed();
      await said(emptied, 2);
      await site.replaced(KILL);
      await site.unharmed();
      await said(emptied, 3);
      await site.limit(undefined);
      await site.untilKept();
    });

    await t.step("an orderly restart while it is emptied promises nothing", async () => {
      await site.limit(0);
      await site.replaced("systemctl restart virtlockd.service");
      await site.unharmed();
      await site.untilLogged(
        /Stopping with 2 locks held of the guest 'alpha', of which systemd keeps no copies/,
      );
      await site.limit(undefined);
      await site.untilKept();
      await site.replaced(KILL);
      await site.unharmed();
    });
  });

  Deno.test(`a crash right after the take-over from libvirt's daemon loses nothing while systemd does not answer: ${release}`, async () => {
    await using machine = await Machine.boot(release);
    const guests = await defineGuests(machine);
    await guests.libvirt.virsh("start", "alpha");
    await machine.sh(`
      mv /usr/bin/systemctl /usr/bin/systemctl.real
      printf '#!/bin/sh\ncase "$*" in *FileDescriptorStoreMax*) exec sleep 600;; esac\nexec systemctl.real "$@"\n' \
        >/usr/bin/systemctl
      chmod +x /usr/bin/systemctl
    `);
    const prober = await LockProber.start(machine, guests.disk);
    const site = await Site.start(machine, guests);
    await site.untilLogged(/Could not learn how many descriptors systemd keeps for this service/);
    const { kept, refused } = await site.store();
    assert.deepEqual({ kept, refused }, { kept: true, refused: 0 });
    await site.replaced(KILL);
    await site.unharmed();
    assert.doesNotMatch(await site.log(), /has dropped|was free for a while/);
    await prober.neverGranted();
  });
}
