import assert from "node:assert/strict";
import type { Guest } from "./support/guest.ts";
import { byteZeroLocks, isLockable } from "./support/kernel_locks.ts";
import { LibvirtLab, OUR_DAEMON, REFERENCE_DAEMON } from "./support/libvirt_lab.ts";
import { until } from "../support/until.ts";

// One scenario for both daemons: what libvirtd and real guests see. Shows that the lab itself is sound, too.

const DAEMONS = [
  { name: "Debian's virtlockd", executable: REFERENCE_DAEMON, kind: "POSIX" },
  { name: "our virtlockd", executable: OUR_DAEMON, kind: "OFDLCK" },
] as const;

for (const { name, executable, kind } of DAEMONS) {
  Deno.test(`${name} locks a guest's disks from start to destroy`, async () => {
    await using lab = await LibvirtLab.start(executable);
    const disk = await lab.createDisk("a.qcow2");
    const installer = await lab.createDisk("installer.img", "raw");
    await lab.define({
      ...ALPHA,
      disks: [{ path: disk, format: "qcow2" }, { path: installer, format: "raw", readonly: true }],
    });

    await lab.virsh("start", "alpha");
    const locks = await byteZeroLocks(lab, disk);
    assert.deepEqual(locks.map(({ kind, mode }) => ({ kind, mode })), [{ kind, mode: "WRITE" }]);
    assert.equal(await isLockable(lab, disk), false);
    assert.equal(await isLockable(lab, installer), true);

    await lab.virsh("destroy", "alpha");
    await until("the disk to be free", () => isLockable(lab, disk));
  });

  Deno.test(`${name} releases a guest's disks while it is suspended`, async () => {
    await using lab = await LibvirtLab.start(executable);
    const disk = await lab.createDisk("a.qcow2");
    await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }] });
    await lab.virsh("start", "alpha");

    await lab.virsh("suspend", "alpha");
    assert.equal(await isLockable(lab, disk), true);
    await lab.virsh("resume", "alpha");
    assert.equal(await isLockable(lab, disk), false);
  });

  Deno.test(`${name} refuses a second guest the lease of the first`, async () => {
    await using lab = await LibvirtLab.start(executable);
    const lease = await lab.createLease("database");
    await lab.define({ ...ALPHA, disks: [await qcow2(lab, "a")], leases: [lease] });
    await lab.define({ ...BETA, disks: [await qcow2(lab, "b")], leases: [lease] });
    await lab.virsh("start", "alpha");

    assert.match(
      await lab.virshError("start", "beta"),
      /error: resource busy: Lockspace resource 'database' is locked/,
    );
    assert.equal((await lab.virsh("domstate", "alpha")).trim(), "running");
    assert.equal((await lab.virsh("domstate", "beta")).trim(), "shut off");

    await lab.virsh("destroy", "alpha");
    await until("the lease to be free", () => isLockable(lab, lease.path));
    await lab.virsh("start", "beta");
    assert.equal(await isLockable(lab, lease.path), false);
  });

  Deno.test(`${name} lets two guests share a disk that both call shareable`, async () => {
    await using lab = await LibvirtLab.start(executable);
    const shared = {
      path: await lab.createDisk("shared.raw", "raw"),
      format: "raw",
      shareable: true,
    } as const;
    await lab.define({ ...ALPHA, disks: [shared] });
    await lab.define({ ...BETA, disks: [shared] });
    await lab.virsh("start", "alpha");
    await lab.virsh("start", "beta");

    const modes = (await byteZeroLocks(lab, shared.path)).map(({ mode }) => mode);
    assert.deepEqual([...new Set(modes)], ["READ"]);
    await lab.virsh("destroy", "alpha");
    await until("the end of alpha's connection", async () => await lockClients(lab) === 1);
    assert.equal(await isLockable(lab, shared.path), false);
    await lab.virsh("destroy", "beta");
    await until("the disk to be free", () => isLockable(lab, shared.path));
  });

  Deno.test(`${name} locks a file named after the disk in a file lockspace`, async () => {
    await using lab = await LibvirtLab.start(executable, { indirectDisks: true });
    const disk = await lab.createDisk("a.qcow2");
    await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }] });
    await lab.virsh("start", "alpha");

    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(disk)));
    const lease = `${lab.diskLockspace}/${hash.toHex()}`;
    assert.equal(await isLockable(lab, lease), false);
    assert.equal(await isLockable(lab, disk), true);

    await lab.virsh("destroy", "alpha");
    await until("the lease file to be gone", async () => (await entries(lab.diskLockspace)).length === 0);
  });

  Deno.test(`${name} frees the locks of a guest that is killed`, async () => {
    await using lab = await LibvirtLab.start(executable);
    const disk = await lab.createDisk("a.qcow2");
    await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }] });
    await lab.virsh("start", "alpha");

    Deno.kill(await lab.guestPid("alpha"), "SIGKILL");
    await until("the disk to be free", () => isLockable(lab, disk));
    await until(
      "libvirtd to notice",
      async () => (await lab.virsh("domstate", "alpha")).trim() === "shut off",
    );
    await lab.virsh("start", "alpha");
    assert.equal(await isLockable(lab, disk), false);
  });

  Deno.test(`${name} kills a guest whose lock connection is cut`, async () => {
    await using lab = await LibvirtLab.start(executable);
    const disk = await lab.createDisk("a.qcow2");
    await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }] });
    await lab.virsh("start", "alpha");
    const pid = await lab.guestPid("alpha");

    await lab.virtAdmin("client-disconnect", "virtlockd", await onlyLockClient(lab));
    await lab.untilGone(pid, "alpha");
    await until("the disk to be free", () => isLockable(lab, disk));
  });

  Deno.test(`${name} keeps the locks while libvirtd restarts`, async () => {
    await using lab = await LibvirtLab.start(executable);
    const disk = await lab.createDisk("a.qcow2");
    const lease = await lab.createLease("database");
    await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }], leases: [lease] });
    await lab.virsh("start", "alpha");
    const pid = await lab.guestPid("alpha");

    await lab.stopLibvirtd();
    assert.equal(await isLockable(lab, disk), false);
    assert.equal(await isLockable(lab, lease.path), false);

    await lab.startLibvirtd();
    assert.equal((await lab.virsh("domstate", "alpha")).trim(), "running");
    assert.equal(await lab.guestPid("alpha"), pid);
    assert.equal(await isLockable(lab, disk), false);
    await lab.virsh("destroy", "alpha");
    await until("the disk to be free", () => isLockable(lab, disk));
  });
}

const ALPHA: Guest = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
const BETA: Guest = { name: "beta", uuid: "66666666-7777-8888-9999-aaaaaaaaaaaa" };

async function qcow2(lab: LibvirtLab, name: string) {
  return { path: await lab.createDisk(`${name}.qcow2`), format: "qcow2" } as const;
}

/** Ids of the connected lock clients, from the table that virt-admin prints. */
async function lockClientIds(lab: LibvirtLab): Promise<string[]> {
  const table = await lab.virtAdmin("client-list", "virtlockd");
  return [...table.matchAll(/^ (\d+) +unix /gm)].map(([, id]) => id ?? "");
}

async function lockClients(lab: LibvirtLab): Promise<number> {
  return (await lockClientIds(lab)).length;
}

async function onlyLockClient(lab: LibvirtLab): Promise<string> {
  const [id, ...others] = await lockClientIds(lab);
  assert.ok(id !== undefined && others.length === 0, "want one lock client");
  return id;
}

async function entries(directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
}
