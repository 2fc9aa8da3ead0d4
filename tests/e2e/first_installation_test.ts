import assert from "node:assert/strict";
import { VERSION } from "../../src/chassis/config/build_config.ts";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { byteZeroLocks } from "./support/kernel_locks.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService, statusOf } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";
import { type Release, releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";

// Our package comes over a running daemon of libvirt's, with guests, and dies at once. Whatever environment
// that daemon has left, systemd keeps the locks from the first moment on.

const KILL = "systemctl kill --kill-whom=main --signal=KILL virtlockd.service";
const RESTART = "systemctl restart virtlockd.service";
const DROP_IN = "/etc/systemd/system/virtlockd.service.d";

/** What the tests look at in the section of the store in the daemon's status. */
interface StoreSection {
  readonly present: boolean;
  readonly refused?: number;
  readonly kept?: boolean;
}

/** A machine with our daemon or libvirt's, and a guest that runs. */
class Site {
  readonly machine: Machine;
  readonly service: LockService;
  readonly libvirt;
  readonly disk: string;
  readonly lease: string;

  private constructor(machine: Machine, guests: Awaited<ReturnType<typeof defineGuests>>) {
    this.machine = machine;
    this.service = new LockService(machine);
    this.libvirt = guests.libvirt;
    this.disk = guests.disk;
    this.lease = guests.lease;
  }

  /** With libvirt's daemon. */
  static async start(machine: Machine): Promise<Site> {
    const guests = await defineGuests(machine);
    await guests.libvirt.virsh("start", "alpha");
    return new Site(machine, guests);
  }

  prober(): Promise<LockProber> {
    return LockProber.start(this.machine, this.disk, this.lease);
  }

  /** How the kernel holds the lock on the disk. */
  async kinds(): Promise<string[]> {
    return (await byteZeroLocks(this.machine, this.disk)).map(({ kind }) => kind);
  }

  /** Does something after which another process is the daemon, and waits until that one serves. */
  async replaced(command: string): Promise<void> {
    const before = await this.service.pid();
    await this.machine.sh(command);
    await until("a new process", async () => ![0, before].includes(await this.service.pid()));
    await this.service.untilState("active");
  }

  /** The section of the store in the daemon's status. */
  async store(): Promise<StoreSection> {
    return (await statusOf<{ sections: { store: StoreSection } }>(this.machine)).sections.store;
  }

  /** Waits for a line of the daemon's. */
  async untilLogged(text: string): Promise<void> {
    await until(text, async () => {
      // By its own name: of a process that has ended the journal does not always know the unit.
      return (await this.machine.sh(
        "journalctl --sync; journalctl --no-pager --output=cat --identifier=virtlockd",
      )).includes(
        text,
      );
    });
  }

  /** Sets how many descriptors the unit keeps, in a drop-in; undefined: as it says itself. */
  async limitStore(limit: number | undefined): Promise<void> {
    const text = limit === undefined
      ? `rm -rf ${DROP_IN}`
      : `mkdir -p ${DROP_IN}; printf '[Service]\\nFileDescriptorStoreMax=${limit}\\n' >${DROP_IN}/store.conf`;
    await this.machine.sh(`${text}; systemctl daemon-reload`);
  }
}

const VERSIONS: Readonly<Record<Release, string>> = { bookworm: "9.0.0", trixie: "11.3.0", forky: "12.8.0" };

for (const release of releasesToTest("newest")) {
  Deno.test(`a crash right after the first installation loses nothing: libvirt ${VERSIONS[release]}`, async (t) => {
    await using machine = await Machine.boot(release);
    const site = await Site.start(machine);
    const { libvirt, service } = site;
    assert.deepEqual(await site.kinds(), ["POSIX"]);
    const prober = await site.prober();
    const guest = await libvirt.guestPid("alpha");
    const unharmed = async () => {
      assert.deepEqual(await site.kinds(), ["OFDLCK"]);
      assert.equal(await libvirt.guestPid("alpha"), guest);
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    };

    await t.step("the store is found and filled at the takeover", async () => {
      const daemon = await service.pid();
      await install(machine, await debianPackage());
      assert.equal(await service.pid(), daemon);
      assert.equal((await service.status()).version, VERSION);
      await service.untilState("active");
      assert.deepEqual(await service.properties("Type", "NotifyAccess", "NRestarts"), {
        Type: "notify",
        NotifyAccess: "main",
        NRestarts: "0",
      });
      const { present, refused } = await site.store();
      assert.deepEqual({ present, refused }, { present: true, refused: 0 });
      await service.untilTold("1 client, 2 locks");
      assert.match(await libvirt.virtAdmin("client-list", "virtlockd"), /^ \d+ +unix /m);
      await unharmed();
    });

    await t.step("kill -9, restart, reload and kill -9", async () => {
      await site.replaced(KILL);
      await unharmed();
      await site.replaced(RESTART);
      await unharmed();
      // systemd's list of jobs tells a restart from a stop.
      await site.untilLogged(
        "Stopping for a restart with 2 locks held of the guest 'alpha': systemd keeps them",
      );
      await service.reload();
      await site.replaced(KILL);
      await unharmed();
    });

    await t.step("libvirt's daemon takes over with POSIX locks, and ours again", async () => {
      await machine.sh("apt-get remove -q -y deno-virtlockd");
      assert.match(
        await libvirt.virtAdmin("version"),
        new RegExp(`Running against daemon: ${RegExp.escape(VERSIONS[release])}`),
      );
      assert.deepEqual(await site.kinds(), ["POSIX"]);
      await install(machine, await debianPackage());
      await unharmed();
      await site.replaced(KILL);
      await unharmed();
    });

    await prober.neverGranted(1000);

    await t.step("a stop gives the locks up, and says so", async () => {
      await machine.sh("systemctl stop virtlockd.service");
      await site.untilLogged("Stopping with 2 locks held of the guest 'alpha': they are given up now");
      assert.deepEqual(await site.kinds(), []);
    });
  });
}

for (const release of releasesToTest("oldest")) {
  Deno.test(`a daemon without the store that it could have is mended by a reload: libvirt ${VERSIONS[release]}`, async () => {
    await using machine = await Machine.boot(release);
    const site = await Site.start(machine);
    await site.limitStore(0);
    await install(machine, await debianPackage());
    assert.deepEqual(await site.store(), { present: false });
    const doctor = await machine.run(["virtlockd", "doctor"]);
    assert.match(doctor.stdout, /systemd keeps no copies of the daemon's descriptors/);
    assert.match(doctor.stdout, /systemctl daemon-reload && systemctl reload virtlockd \(all locks stay\)/);
    const prober = await site.prober();

    await site.limitStore(undefined);
    await site.service.reload();
    assert.equal((await site.store()).present, true);
    await site.replaced(KILL);
    assert.deepEqual(await site.kinds(), ["OFDLCK"]);
    assert.match(await site.libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    await prober.neverGranted(1000);
  });
}

for (const release of releasesToTest("newest")) {
  Deno.test(`the file of a daemon without a store is read by the next one that has one: libvirt ${VERSIONS[release]}`, async () => {
    await using machine = await Machine.boot(release);
    const site = await Site.start(machine);
    await site.limitStore(0);
    await install(machine, await debianPackage());
    // Our own unit's variable promises more than systemd keeps: that is an alarm, and tried again.
    await site.replaced(KILL);
    await until("the daemon to know", async () => (await site.store()).kept === false);
    assert.deepEqual(await site.kinds(), ["OFDLCK"]);

    await site.limitStore(undefined);
    await site.replaced(RESTART);
    assert.equal((await site.store()).present, true);
    assert.deepEqual(await site.kinds(), ["OFDLCK"]);
    const log = await machine.sh(
      "journalctl --sync; journalctl --no-pager --output=cat --identifier=virtlockd",
    );
    assert.match(
      log,
      /The lock on '[^']*' of domain 'alpha' .* ended with the daemon: it is taken again, but was free/,
    );
    const prober = await site.prober();
    await site.replaced(KILL);
    assert.match(await site.libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    await prober.neverGranted(1000);
  });
}
