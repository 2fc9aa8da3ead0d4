import assert from "node:assert/strict";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LibvirtPackages } from "./support/libvirt_packages.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install, installByApt, packageWithDivertedUnits } from "./support/packages.ts";
import { releasesToTest, SETUPS } from "./support/releases.ts";
import { until } from "../support/until.ts";

// Orders in which packages come and go beside those of journey_test.ts.

const UNITS = ["virtlockd.service", "virtlockd.socket", "virtlockd-admin.socket"];

for (const release of releasesToTest("oldest")) {
  Deno.test(`On ${release} our package is upgraded from a version that diverted units, and downgraded to it`, async () => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    const packages = await LibvirtPackages.of(machine);
    const { libvirt, disk, lease } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const daemon = await service.pid();
    const prober = await LockProber.start(machine, disk, lease);
    const fragments = async () => {
      const paths = await machine.sh(`systemctl show --value --property=FragmentPath ${UNITS.join(" ")}`);
      return paths.split("\n").filter((path) => path !== "").map((path) =>
        path.replace(/^\/usr\/lib/, "/lib")
      );
    };
    const served = async () => {
      await until("our daemon", async () => (await machine.run(["virtlockd", "status"])).code === 0);
      await service.untilState("active");
      assert.equal(await service.pid(), daemon);
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    };
    const diverted = () => machine.sh("dpkg-divert --list '*systemd*virtlockd*'");

    for (let round = 1; round <= 2; round++) {
      await install(machine, await packageWithDivertedUnits());
      await served();
      assert.deepEqual(await fragments(), UNITS.map((unit) => `/lib/systemd/system/${unit}`));
      assert.notEqual(await diverted(), "");
      await install(machine, await debianPackage());
      await served();
      assert.deepEqual(await fragments(), UNITS.map((unit) => `/etc/systemd/system/${unit}`));
      assert.equal(await diverted(), "");
      assert.equal(await machine.sh("ls /lib/systemd/system | grep virtlockd.*libvirt || :"), "");
      // The second time all is as it was here.
      if (round > 1) continue;
      await packages.reinstall();
      await served();
    }
    await machine.sh("apt-get purge -q -y deno-virtlockd");
    assert.equal(await service.pid(), daemon);
    assert.equal(await packages.changes(), "");
    await prober.neverGranted(1000);
  });

  Deno.test(`On ${release} what an administrator does to the units is seen, and mended or left alone`, async () => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    const { libvirt, disk, lease } = await defineGuests(machine);
    const link = "/etc/systemd/system/virtlockd.service";
    await install(machine, await debianPackage());
    await libvirt.virsh("start", "alpha");
    const prober = await LockProber.start(machine, disk, lease);
    const doctor = async () => (await machine.run(["virtlockd", "doctor"])).stdout;

    const crash = async () => {
      const before = await service.pid();
      await machine.sh("systemctl kill --kill-whom=main --signal=KILL virtlockd.service");
      await until("a new process", async () => ![0, before].includes(await service.pid()));
      await service.untilState("active");
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    };

    await machine.sh("systemctl disable virtlockd.service");
    assert.match(await doctor(), /systemd uses libvirt's \S+\/virtlockd.service, not ours/);
    // libvirt 9.0's unit requires the socket for commands.
    const along = /who stops or restarts virtlockd-admin.socket stops the daemon with all its locks/;
    assert.equal(along.test(await doctor()), release === "bookworm");
    await crash();
    await install(machine, await debianPackage());
    assert.equal(await machine.sh(`readlink ${link}`), "/usr/lib/virtlockd/system/virtlockd.service\n");
    assert.doesNotMatch(await doctor(), /not ours/);
    await crash();

    const admin = "virtlockd-admin.socket";
    await machine.sh(`systemctl disable ${admin}; systemctl mask --now ${admin}`);
    assert.match(await doctor(), /PROBLEM +units: virtlockd-admin.socket is masked/);
    await machine.sh(`systemctl unmask ${admin}`);
    await until(
      "commands to be answered",
      async () => (await machine.run(["virtlockd", "status"])).code === 0,
    );
    assert.match(await doctor(), /systemd uses libvirt's \S+\/virtlockd-admin.socket, not ours/);
    await crash();
    await until(
      "commands to be answered",
      async () => (await machine.run(["virtlockd", "status"])).code === 0,
    );

    await machine.sh(`rm ${link}; sed /^KillMode=/d /usr/lib/virtlockd/system/virtlockd.service >${link}`);
    await install(machine, await debianPackage());
    assert.match(await doctor(), /which is not ours and sets no KillMode=: a restart may wait for helpers/);
    await crash();
    await machine.sh("apt-get purge -q -y deno-virtlockd");
    assert.equal(await machine.sh(`grep -c FileDescriptorStoreMax ${link}`), "1\n");
    await prober.neverGranted(1000);
  });

  if (SETUPS[release].unitOwner !== "libvirt-daemon-lock") continue;

  Deno.test(`On ${release} our package brings libvirt's lock plugin along, and bears its first installation`, async () => {
    await using machine = await Machine.boot(release);
    const purge = "dpkg --purge --force-depends libvirt-daemon-plugin-lockd libvirt-daemon-lock";
    const locked = async () => {
      assert.equal(
        await machine.sh("systemctl is-active virtlockd.socket virtlockd-admin.socket"),
        "active\nactive\n",
      );
      assert.equal(await machine.sh("apt-get check -q >/dev/null; dpkg --audit"), "");
    };

    await machine.sh(purge);
    await installByApt(machine, await debianPackage());
    await locked();
    const { libvirt } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    await libvirt.virsh("destroy", "alpha");

    await machine.sh(`${purge}; apt-get -f -q -y install`);
    await locked();
    await libvirt.virsh("start", "alpha");
    assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
  });
}
