import assert from "node:assert/strict";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";
import { until } from "../support/until.ts";

// Asked for with VIRTLOCKD_TEST_RELEASE_UPGRADE=1: it fetches and installs half of a release.

const UPGRADE = `
export DEBIAN_FRONTEND=noninteractive
sed -i s/bookworm/trixie/ /etc/apt/sources.list
apt-get update -q
apt-get dist-upgrade -q -y -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io
`;

// It takes several minutes, and CI has none to spare: on demand.
if (Deno.env.get("VIRTLOCKD_TEST_RELEASE_UPGRADE") === "1") {
  Deno.test("Debian 12 is upgraded to 13 with our package installed, and the guest's locks are held all the time", async () => {
    // systemd 257 executes itself in the place of 252, and knows the unified hierarchy only.
    await using machine = await Machine.boot("bookworm", { hierarchy: "unified" });
    const service = new LockService(machine);
    const { libvirt, disk, lease } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const prober = await LockProber.start(machine, disk, lease);
    await install(machine, await debianPackage());
    const daemon = await service.pid();
    const guest = await libvirt.guestPid("alpha");
    const served = async () => {
      await service.untilState("active");
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
      assert.equal(await libvirt.guestPid("alpha"), guest);
    };

    await machine.online(UPGRADE, { deadline: 600_000 });
    assert.match(await machine.sh("systemctl --version"), /^systemd 257 /);
    assert.match(await machine.sh("dpkg-query --show libvirt-daemon-plugin-lockd"), /\t11\./);
    assert.equal(await machine.sh("dpkg --audit"), "");
    assert.equal(await service.pid(), daemon);
    await served();
    await machine.sh("systemctl kill --kill-whom=main --signal=KILL virtlockd.service");
    await until("a new process", async () => ![0, daemon].includes(await service.pid()));
    await served();
    await machine.sh("apt-get purge -q -y deno-virtlockd");
    assert.match(await libvirt.virtAdmin("version"), /Running against daemon: 11\./);
    assert.match(await libvirt.virshError("start", "beta"), /Lockspace resource 'database' is locked\n/);
    await prober.neverGranted(1000);
  });
}
