import assert from "node:assert/strict";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { runOk } from "./support/command.ts";
import { isLockable } from "./support/kernel_locks.ts";
import { LibvirtLab, OUR_DAEMON, REFERENCE_DAEMON } from "./support/libvirt_lab.ts";
import { until } from "../support/until.ts";

// Real guests, through what libvirt does to them in their lives.

const ALPHA = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
const BETA = { name: "beta", uuid: "66666666-7777-8888-9999-000000000000" };
const QEMU_CONF = "/etc/libvirt/qemu.conf";

/** A lab with our daemon and a guest with one disk, which runs. */
async function startAlpha(): Promise<{ lab: LibvirtLab; disk: string }> {
  const lab = await LibvirtLab.start(OUR_DAEMON);
  try {
    const disk = await lab.createDisk("a.qcow2");
    await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }] });
    await lab.virsh("start", "alpha");
    return { lab, disk };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

function connect(lab: LibvirtLab): Promise<LockClient> {
  return LockClient.connect(lab.outside("/run/libvirt/virtlockd-sock"));
}

/** A guest that was started without lockd, and whose lock libvirtd has taken over a connection of its own. */
async function startWithoutConnection(lab: LibvirtLab, virtlockd: string): Promise<string> {
  const conf = lab.outside(QEMU_CONF);
  const withLockd = await Deno.readTextFile(conf);
  await Deno.writeTextFile(conf, withLockd.replace('lock_manager = "lockd"', ""));
  await lab.startLibvirtd();
  const disk = await lab.createDisk("a.qcow2");
  await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }] });
  await lab.virsh("start", "alpha");
  assert.equal(await isLockable(lab, disk), true);
  await lab.stopLibvirtd();
  await Deno.writeTextFile(conf, withLockd);
  await lab.startVirtlockd(virtlockd);
  await lab.startLibvirtd();
  await lab.virsh("suspend", "alpha");
  await lab.virsh("resume", "alpha");
  assert.equal(await isLockable(lab, disk), false);
  return disk;
}

Deno.test("a lock that libvirt's daemon has of a guest that ended is dropped when ours takes over", async () => {
  await using lab = await LibvirtLab.create();
  const disk = await startWithoutConnection(lab, REFERENCE_DAEMON);
  await lab.virsh("destroy", "alpha");
  assert.match(await lab.virshError("start", "alpha"), /is locked/);
  await runOk(lab, ["mount", "--bind", OUR_DAEMON, REFERENCE_DAEMON]);
  await runOk(lab, ["kill", "-USR1", String(await lab.virtlockdPid())]);
  await until("the disk to be free", () => isLockable(lab, disk));
  await lab.virsh("start", "alpha");
  assert.equal(await isLockable(lab, disk), false);
});

Deno.test("a guest that was started before lockd was switched on loses its lock with its end", async () => {
  await using lab = await LibvirtLab.create();
  const disk = await startWithoutConnection(lab, OUR_DAEMON);
  await lab.virsh("destroy", "alpha");
  await until("the disk to be free", () => isLockable(lab, disk));
  await lab.virsh("start", "alpha");
  assert.equal(await isLockable(lab, disk), false);
});

Deno.test("a disk that a guest has is attached to it once only, and an attach while it is paused does not hinder its resume", async () => {
  const { lab, disk } = await startAlpha();
  await using _lab = lab;
  const second = await lab.createDisk("b.qcow2");
  const attach = ["attach-disk", "alpha", "--subdriver", "qcow2", "--targetbus", "usb", "--source"];
  assert.match(await lab.virshError(...attach, disk, "--target", "sda"), /is locked by domain 'alpha'/);
  assert.equal(await isLockable(lab, disk), false);
  await lab.virsh("suspend", "alpha");
  assert.equal(await isLockable(lab, disk), true);
  await lab.virsh(...attach, second, "--target", "sda");
  await lab.virsh("resume", "alpha");
  assert.deepEqual([await isLockable(lab, disk), await isLockable(lab, second)], [false, false]);
  await lab.virsh("detach-disk", "alpha", "sda");
  await until("the detached disk to be free", () => isLockable(lab, second));
  assert.equal(await isLockable(lab, disk), false);
});

Deno.test("a guest with one image twice does not start, and one whose resume was refused half way is resumed later", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  const disk = await lab.createDisk("a.qcow2");
  const twice = await lab.createDisk("c.qcow2");
  const [first, second] = [await lab.createLease("first"), await lab.createLease("second")];
  await lab.define({
    ...BETA,
    disks: [{ path: twice, format: "qcow2" }, { path: twice, format: "qcow2" }],
  });
  await lab.virshError("start", "beta");
  await until("the image to be free", () => isLockable(lab, twice));
  await lab.virsh("undefine", "beta");
  await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }], leases: [first, second] });
  await lab.define({ ...BETA, disks: [{ path: twice, format: "qcow2" }], leases: [second] });
  await lab.virsh("start", "alpha");
  await lab.virsh("suspend", "alpha");
  await lab.virsh("start", "beta");
  assert.match(
    await lab.virshError("resume", "alpha"),
    /Lockspace resource 'second' is locked by domain 'beta'/,
  );
  await lab.virsh("destroy", "beta");
  await until("the second lease to be free", () => isLockable(lab, second.path));
  await lab.virsh("resume", "alpha");
  for (const path of [disk, first.path, second.path]) assert.equal(await isLockable(lab, path), false, path);
  await lab.virsh("destroy", "alpha");
  await until("the disk to be free", () => isLockable(lab, disk));
});

Deno.test("a paused guest is not resumed when another one of this host has used its disk meanwhile", async () => {
  const { lab, disk } = await startAlpha();
  await using _lab = lab;
  await lab.virsh("suspend", "alpha");
  {
    // QEMU's own lock is in the way of a second guest on one image, where storage has any.
    await using other = await connect(lab);
    await other.register({ ...testOwner(4_242_001), ...BETA });
    await other.acquire("", disk);
    await other.release("", disk);
  }
  assert.match(
    await lab.virshError("resume", "alpha"),
    /was in use by domain 'beta' .* while domain 'alpha' .* was paused/,
  );
  assert.equal(await isLockable(lab, disk), true);
  await lab.virsh("destroy", "alpha");
  await lab.virsh("start", "alpha");
  assert.equal(await isLockable(lab, disk), false);
});

Deno.test("snapshot, commit, copy, save and restore, and restarts of both daemons keep a guest's locks right", async () => {
  const { lab, disk } = await startAlpha();
  await using _lab = lab;
  const held = async (path: string) => !await isLockable(lab, path);
  const overlay = `${lab.directory}/a.snap`;
  const snapshot = ["snapshot-create-as", "alpha", "snap", "--disk-only", "--no-metadata", "--atomic"];
  await lab.virsh(...snapshot, "--diskspec", `vda,file=${overlay}`);
  assert.deepEqual([await held(disk), await held(overlay)], [false, true]);
  await lab.virsh("blockcommit", "alpha", "vda", "--active", "--wait", "--pivot");
  await until("the lock to be on the base again", async () => await held(disk) && !await held(overlay));
  const copy = `${lab.directory}/copy.qcow2`;
  await lab.virsh("blockcopy", "alpha", "vda", copy, "--wait", "--pivot", "--transient-job");
  await until("the lock to be on the copy", async () => await held(copy) && !await held(disk));
  await lab.stopLibvirtd();
  await lab.startLibvirtd();
  await runOk(lab, ["kill", "-USR1", String(await lab.virtlockdPid())]);
  await lab.virsh("suspend", "alpha");
  assert.equal(await held(copy), false);
  await lab.virsh("resume", "alpha");
  assert.equal(await held(copy), true);
  const state = `${lab.directory}/alpha.save`;
  await lab.virsh("save", "alpha", state);
  await until("the lock to go with the process", async () => !await held(copy));
  await lab.virsh("restore", state);
  assert.equal(await held(copy), true);
  await lab.virsh("destroy", "alpha");
  await until("the lock to go", async () => !await held(copy));
});

Deno.test("a backup's scratch file is locked beside the disk, also while the guest is paused", async () => {
  const { lab, disk } = await startAlpha();
  await using _lab = lab;
  const held = async (path: string) => !await isLockable(lab, path);
  const scratch = `${lab.directory}/scratch.qcow2`;
  const xml = `${lab.directory}/backup.xml`;
  await Deno.writeTextFile(
    xml,
    `<domainbackup mode='pull'><server transport='unix' socket='${lab.directory}/nbd'/><disks>
    <disk name='vda' type='file'><scratch file='${scratch}'/></disk></disks></domainbackup>`,
  );
  // The second time tells that the first one has given its lock back.
  for (let times = 0; times < 2; times++) {
    await lab.virsh("backup-begin", "alpha", xml);
    assert.deepEqual([await held(disk), await held(scratch)], [true, true]);
    await lab.virsh("suspend", "alpha");
    assert.deepEqual([await held(disk), await held(scratch)], [false, true]);
    await lab.virsh("resume", "alpha");
    await lab.virsh("domjobabort", "alpha");
    assert.equal(await held(disk), true);
  }
});

Deno.test("a commit that keeps its overlay leaves the base locked, until a person frees it for the next one", async () => {
  const { lab, disk } = await startAlpha();
  await using _lab = lab;
  const held = async (path: string) => !await isLockable(lab, path);
  const overlay = `${lab.directory}/a.snap`;
  const snapshot = ["snapshot-create-as", "alpha", "snap", "--disk-only", "--no-metadata", "--atomic"];
  await lab.virsh(...snapshot, "--diskspec", `vda,file=${overlay}`);
  const commit = ["blockcommit", "alpha", "vda", "--active", "--wait"];
  await lab.virsh(...commit, "--keep-overlay");
  assert.deepEqual([await held(disk), await held(overlay)], [true, true]);
  assert.match(await lab.virshError(...commit, "--pivot"), /a\.qcow2' is locked by domain 'alpha'/);
  await runOk(lab, [OUR_DAEMON, "release", disk, "--force", "--yes", "--guest", "alpha"]);
  await lab.virsh(...commit, "--pivot");
  await until("the overlay's lock to go", async () => await held(disk) && !await held(overlay));
});

Deno.test("a revert to a snapshot with memory has written to the disk when its lock is refused", async () => {
  const { lab, disk } = await startAlpha();
  await using _lab = lab;
  await lab.virsh("snapshot-create-as", "alpha", "early");
  await lab.virsh("destroy", "alpha");
  await until("the disk to be free", () => isLockable(lab, disk));
  // The guest that could not go on has its image open.
  const read = (pattern: number) => {
    return runOk(lab, ["qemu-io", "-U", "-r", "-f", "qcow2", "-c", `read -P ${pattern} 0 64k`, disk]);
  };
  await runOk(lab, ["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", disk]);
  assert.doesNotMatch(await read(7), /failed/);
  await using process = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  await using other = await connect(lab);
  await other.register({ ...testOwner(process.pid), ...BETA });
  await other.acquire("", disk);
  assert.match(await lab.virshError("snapshot-revert", "alpha", "early"), /is locked by domain 'beta'/);
  assert.doesNotMatch(await read(0), /failed/);
});
