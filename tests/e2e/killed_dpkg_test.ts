import assert from "node:assert/strict";
import { type Disturbance, DisturbedDpkg } from "./support/disturbed_dpkg.ts";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LibvirtPackages } from "./support/libvirt_packages.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, NEXT_VERSION } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";
import { THOROUGH } from "../support/thorough.ts";

// dpkg and the script that it runs are killed somewhere, or a command of a script fails, with a guest
// running. Until somebody mends that, and afterwards, the guest's locks are held; and libvirt gets its own
// files back.

const OURS = "/root/ours.deb";
const NEXT = "/root/next.deb";
const PROGRAM = "/usr/sbin/virtlockd";

/** How somebody mends it. */
const CONFIGURE = "dpkg --configure -a && apt-get -f -q -y install";
const INSTALL = `dpkg --force-downgrade -i ${OURS}`;
const REMOVE = "dpkg --remove deno-virtlockd";

/** Where dpkg is disturbed, and what is done then. `locked` is who has the locks until then. */
interface Moment {
  readonly args: readonly string[];
  readonly how: Disturbance;
  readonly before: string;
  readonly locked: "libvirt's" | "ours";
  readonly mend: string;
}

const INSTALLATION = { args: ["-i", OURS], locked: "libvirt's" } as const;
const UPGRADE = { args: ["-i", NEXT], locked: "ours" } as const;
const REMOVAL = { args: ["--remove", "deno-virtlockd"] } as const;

/**
 * In an order in which one goes on where the last one has ended: after an installation that is mended ours is
 * there, and is upgraded and removed.
 */
const MOMENTS: readonly Moment[] = [
  { ...INSTALLATION, how: "killed", before: `^dpkg-divert .*--add ${PROGRAM}$`, mend: INSTALL },
  { ...REMOVAL, how: "failing", before: `^mv -f ${PROGRAM}.libvirt `, locked: "ours", mend: REMOVE },
];

/** The others: each takes twenty seconds, so they come only when all are asked for. */
const MORE: readonly Moment[] = [
  { ...UPGRADE, how: "killed", before: "^systemctl --system daemon-reload", mend: CONFIGURE },
  { ...REMOVAL, how: "killed", before: `^mv -f ${PROGRAM} `, locked: "libvirt's", mend: INSTALL },
  { ...INSTALLATION, how: "halfway", before: "^dpkg-deb --fsys-tarfile", mend: INSTALL },
  { ...REMOVAL, how: "killed", before: `^mv -f ${PROGRAM}.libvirt `, locked: "ours", mend: REMOVE },
  { ...INSTALLATION, how: "killed", before: "^ln -s .*/virtlockd.socket", mend: CONFIGURE },
  { ...UPGRADE, how: "halfway", before: "^dpkg-deb --fsys-tarfile", mend: INSTALL },
  { ...REMOVAL, how: "failing", before: `^ln -f ${PROGRAM} `, locked: "ours", mend: REMOVE },
  { ...INSTALLATION, how: "killed", before: "^systemctl --system daemon-reload", mend: CONFIGURE },
  { ...REMOVAL, how: "killed", before: `^mv -f ${PROGRAM}.ours `, locked: "libvirt's", mend: CONFIGURE },
  {
    ...REMOVAL,
    how: "killed",
    before: `^dpkg-divert .*--remove ${PROGRAM}$`,
    locked: "libvirt's",
    mend: REMOVE,
  },
];
const CHOSEN = THOROUGH ? [...MOMENTS, ...MORE] : MOMENTS;

// It takes some minutes: of CI's releases the one that is newer.
for (const release of releasesToTest().slice(-1)) {
  Deno.test(`On ${release} a dpkg that is killed on the way costs no lock and no file of libvirt's`, async (t) => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    const packages = await LibvirtPackages.of(machine);
    const dpkg = await DisturbedDpkg.in(machine);
    const { libvirt, disk, lease } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    await machine.copyIn(await debianPackage(), OURS);
    await machine.copyIn(await debianPackage(NEXT_VERSION), NEXT);
    const guest = await libvirt.guestPid("alpha");
    const prober = await LockProber.start(machine, disk, lease);

    const refused = async (by: Moment["locked"]) => {
      const wanted = by === "ours" ? REFUSED_BY_ALPHA : /Lockspace resource 'database' is locked\n/;
      assert.match(await libvirt.virshError("start", "beta"), wanted);
      assert.equal(await libvirt.guestPid("alpha"), guest);
    };
    const isInstalled = async () => {
      const query = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", "deno-virtlockd"];
      return (await machine.run(query)).stdout.startsWith("ii");
    };
    const crash = async () => {
      const before = await service.pid();
      await machine.sh("systemctl kill --kill-whom=main --signal=KILL virtlockd.service");
      await until("a new process", async () => ![0, before].includes(await service.pid()));
      await service.untilState("active");
      await refused("ours");
    };

    const asBefore = async () => {
      await refused("libvirt's");
      assert.equal(await machine.sh(`readlink /proc/${await service.pid()}/exe`), `${PROGRAM}\n`);
      assert.equal(await packages.changes(), "");
      assert.equal(await machine.sh("dpkg-divert --list '*virtlock*'"), "");
      const left = "-lname '/usr/lib/virtlockd/*' -o -name 'virtlockd*.libvirt*' -o -name virtlockd.ours";
      assert.equal(await machine.sh(`find /etc /usr /var -xdev \\( ${left} \\) -print`), "");
    };

    for (const { args, how, before, locked, mend } of CHOSEN) {
      await t.step(`dpkg ${args.join(" ")}, ${how} before ${before}, then ${mend}`, async () => {
        const installs = args[1] === OURS;
        assert.ok(!installs || !(await isInstalled()), "want what was installed to be removed by now");
        if (!installs && !(await isInstalled())) await machine.sh(INSTALL);
        const daemon = await service.pid();
        await dpkg.fail(how, before, ...args);
        assert.equal(await service.pid(), daemon);
        await refused(locked);
        if (locked === "ours") await crash();
        const meanwhile = await service.pid();

        await machine.sh(mend);
        assert.equal(await machine.sh("dpkg --audit"), "");
        assert.equal(await service.pid(), meanwhile);
        if (await isInstalled()) {
          await refused("ours");
          assert.doesNotMatch((await machine.run(["virtlockd", "doctor"])).stdout, /PROBLEM/);
        } else {
          await asBefore();
        }
      });
    }
    assert.equal(await isInstalled(), false);
    await prober.neverGranted(1000);
  });
}
