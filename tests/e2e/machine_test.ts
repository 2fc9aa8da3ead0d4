import assert from "node:assert/strict";
import { byteZeroLocks, isLockable } from "./support/kernel_locks.ts";
import { Libvirt } from "./support/libvirt.ts";
import { LockProber } from "./support/lock_prober.ts";
import { Machine } from "./support/nspawn.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";

// What Debian's own virtlockd does under a real systemd: the ground that the tests of our package stand on.

for (const release of releasesToTest()) {
  Deno.test(`${release}'s own virtlockd serves libvirtd, and loses its locks when it is killed`, async () => {
    await using machine = await Machine.boot(release);
    const { libvirt, disk } = await prepareGuest(machine);
    assert.equal(await state(machine), "active");

    await libvirt.virsh("start", "alpha");
    const pid = Number(await machine.sh("systemctl show --value --property=MainPID virtlockd.service"));
    assert.deepEqual(await byteZeroLocks(machine, disk), [{
      kind: "POSIX",
      mode: "WRITE",
      pid,
      start: 0,
      end: 0,
    }]);
    assert.equal(await isLockable(machine, disk), false);

    const prober = await LockProber.start(machine, disk);
    await machine.sh("systemctl kill --signal=KILL virtlockd.service");
    await until("the disk to be free", () => isLockable(machine, disk));
    assert.equal((await libvirt.virsh("domstate", "alpha")).trim(), "running");
    const { grants, when } = await prober.stop();
    assert.ok(grants > 0, "want the prober to see that the lock is free");
    assert.match(when[0] ?? "", /^\/var\/lib\/guests\/a\.qcow2 at \d\d:\d\d:\d\d\.\d\d\d$/);
  });
}

async function prepareGuest(machine: Machine): Promise<{ libvirt: Libvirt; disk: string }> {
  const libvirt = new Libvirt(machine, "/var/lib/guests");
  await libvirt.configure();
  await machine.sh("systemctl restart libvirtd.service");
  const disk = await libvirt.createDisk("a.qcow2");
  await libvirt.define({
    name: "alpha",
    uuid: "11111111-2222-3333-4444-555555555555",
    disks: [{ path: disk, format: "qcow2" }],
  });
  return { libvirt, disk };
}

/** State of the unit, as `systemctl is-active` names it. */
async function state(machine: Machine): Promise<string> {
  return (await machine.run(["systemctl", "is-active", "virtlockd.service"])).stdout.trim();
}
