import assert from "node:assert/strict";
import { VERSION } from "../../src/chassis/config/build_config.ts";
import { byteZeroLocks, isLockable } from "./support/kernel_locks.ts";
import { LibvirtLab, OUR_DAEMON, REFERENCE_DAEMON } from "./support/libvirt_lab.ts";
import { LockProber } from "./support/lock_prober.ts";
import { runOk } from "./support/command.ts";
import { until } from "../support/until.ts";

// A host with running guests moves from libvirt's daemon to this one and back, with one SIGUSR1 each.

const ALPHA = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
const BETA = { name: "beta", uuid: "66666666-7777-8888-9999-000000000000" };

/** Waits until the daemon that answers on the admin socket is of this version. */
async function untilServedBy(lab: LibvirtLab, version: string): Promise<void> {
  await until(`version ${version} to answer`, async () => {
    return (await lab.virtAdmin("version")).includes(`Running against daemon: ${version}`);
  });
}

Deno.test("SIGUSR1 moves a host with running guests from libvirt's daemon to ours and back", async () => {
  await using lab = await LibvirtLab.start(REFERENCE_DAEMON);
  const disk = await lab.createDisk("a.qcow2");
  const lease = await lab.createLease("database");
  await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }], leases: [lease] });
  await lab.define({
    ...BETA,
    disks: [{ path: await lab.createDisk("b.qcow2"), format: "qcow2" }],
    leases: [lease],
  });
  await lab.virsh("start", "alpha");
  const daemon = await lab.virtlockdPid();
  const guest = await lab.guestPid("alpha");
  const kinds = async () => (await byteZeroLocks(lab, disk)).map(({ kind }) => kind);
  assert.deepEqual(await kinds(), ["POSIX"]);

  await runOk(lab, ["mount", "--bind", OUR_DAEMON, REFERENCE_DAEMON]);
  await runOk(lab, ["kill", "-USR1", String(daemon)]);
  await untilServedBy(lab, VERSION);
  assert.equal(await lab.virtlockdPid(), daemon);
  assert.deepEqual(await kinds(), ["OFDLCK"]);
  assert.equal(await isLockable(lab, lease.path), false);
  assert.match(
    await lab.virshError("start", "beta"),
    /Lockspace resource 'database' is locked by domain 'alpha' \(uuid 11111111-2222-3333-4444-555555555555, pid \d+\)/,
  );
  await lab.virsh("suspend", "alpha");
  assert.equal(await isLockable(lab, disk), true);
  await lab.virsh("resume", "alpha");
  assert.deepEqual(await kinds(), ["OFDLCK"]);

  const prober = await LockProber.start(lab, disk);
  await runOk(lab, ["umount", REFERENCE_DAEMON]);
  await runOk(lab, ["kill", "-USR1", String(daemon)]);
  await untilServedBy(lab, "9.0.0");
  assert.equal(await lab.virtlockdPid(), daemon);
  assert.deepEqual(await kinds(), ["POSIX"]);
  await prober.neverGranted(10);
  assert.match(await lab.virshError("start", "beta"), /Lockspace resource 'database' is locked/);
  assert.equal(await lab.guestPid("alpha"), guest);
  await lab.virsh("destroy", "alpha");
  await until("the disk to be free", () => isLockable(lab, disk));
});
