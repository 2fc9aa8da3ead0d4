import assert from "node:assert/strict";
import { host, runOk } from "./support/command.ts";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { archive } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";

// The move by hand of docs/operating.md, on hosts that have neither Deno nor npm.

const PROGRAM = "/usr/libexec/deno-virtlockd/virtlockd";
const DIVERT = "/usr/libexec/deno-virtlockd/divert";
const RUNTIME = "/usr/libexec/deno-virtlockd/deno";

/** Every file in the places that libvirt's daemon has, or where it is put aside, with its inode. */
const PLACES = `find /usr/sbin/virtlockd* /usr/lib/systemd/system/virtlockd* /usr/share/man/man8/virtlockd* \\
  /usr/share/augeas/lenses/virtlockd* ! -name 'virtlockd-exporter*' ! -name 'virtlockd-deputy*' \\
  -printf '%p %i %l\\n' 2>/dev/null | sort`;

for (const release of releasesToTest("newest")) {
  Deno.test(`${release}: the archive moves a running host over and back by hand, and no lock is dropped`, async (t) => {
    const file = await archive();
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    const { libvirt, disk } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const daemon = await service.pid();
    const theirs = await libvirt.virtAdmin("version");
    const prober = await LockProber.start(machine, disk);
    const before = await machine.sh(PLACES);
    const unpack = () => runOk(host, ["tar", "-C", machine.outside("/"), "--no-same-owner", "-xf", file]);
    await unpack();
    assert.equal(await machine.sh(PLACES), before);

    await t.step("a program that does not run here changes nothing", async () => {
      for (const broken of [`rm ${RUNTIME}`, `printf 'not a program' >${RUNTIME}`]) {
        await machine.sh(broken);
        const { code, stderr } = await machine.run([DIVERT, "apply"]);
        assert.equal(code, 1);
        assert.match(
          stderr,
          /^deno-virtlockd: \S+ does not run on this host: (.*\n)+deno-virtlockd: Nothing was changed\.\n$/,
        );
        assert.equal(await machine.sh(PLACES), before);
      }
      assert.equal(await service.pid(), daemon);
      await unpack();
    });

    await t.step("apply hands the daemon over", async () => {
      assert.match(await machine.sh(`${PROGRAM} --version`), /^virtlockd \(deno-virtlockd\) /);
      assert.equal(await machine.sh(`${DIVERT} apply 2>&1`), "");
      assert.match(await machine.sh("virtlockd locks"), / alpha /);
      assert.equal(await service.pid(), daemon);
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    });

    await t.step("a program that was lost later is said in the journal, and costs no lock", async () => {
      await machine.sh(`mv ${RUNTIME} ${RUNTIME}.away`);
      await machine.sh("systemctl kill --kill-whom=main --signal=KILL virtlockd.service");
      await until(
        "the complaint",
        async () => (await machine.journal("virtlockd.service")).includes(`Run ${RUNTIME}: it is not there`),
      );
      await machine.sh(`mv ${RUNTIME}.away ${RUNTIME}`);
      await until("the daemon", async () => (await machine.run(["virtlockd", "status"])).code === 0);
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
      assert.ok((await service.pid()) > 0);
    });

    await t.step("apply over what is there already keeps everything", async () => {
      const ours = await service.pid();
      await unpack();
      assert.equal(await machine.sh(`${DIVERT} apply 2>&1`), "");
      assert.equal(await service.pid(), ours);
    });

    await t.step("a unit that is masked costs no lock: systemd goes on hearing the daemon", async () => {
      const watchdog = async () => (await service.properties("WatchdogUSec")).WatchdogUSec;
      const ours = await service.pid();
      await until("the watchdog", async () => (await watchdog()) === "20s");
      await machine.sh("systemctl mask virtlockd.service");
      if (release !== "bookworm") {
        await until("the watchdog to be off", async () => (await watchdog()) === "0");
      }
      assert.deepEqual(await service.properties("NotifyAccess", "LoadState"), {
        NotifyAccess: "main",
        LoadState: "masked",
      });
      await machine.sh("systemctl unmask virtlockd.service");
      await until("the watchdog", async () => (await watchdog()) === "20s");
      assert.equal(await service.pid(), ours);
    });

    await t.step("restore gives everything back", async () => {
      const ours = await service.pid();
      assert.equal(await machine.sh(`${DIVERT} restore 2>&1`), "");
      await until("libvirt's daemon", async () => (await libvirt.virtAdmin("version")) === theirs);
      assert.equal(await service.pid(), ours);
      assert.match(await libvirt.virshError("start", "beta"), /Lockspace resource 'database' is locked\n/);
      assert.equal(await machine.sh(PLACES), before);
    });

    await prober.neverGranted(1000);
  });
}
