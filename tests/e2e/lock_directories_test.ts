import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { byteZeroLocks } from "./support/kernel_locks.ts";
import { runOk } from "./support/command.ts";
import { LibvirtLab, OUR_DAEMON } from "./support/libvirt_lab.ts";

// Lock directories that libvirt does not register, that go, or that are on a file system that is not mounted.
// Real guests with leases. Needs root.

const ALPHA = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
const BETA = { name: "beta", uuid: "66666666-7777-8888-9999-000000000000" };
/** A directory of root's, below others of root's. */
const PLACE = "/var/lib/libvirt/place";
const CONFIG = "/etc/libvirt/virtlockd.conf";

function lease(lockspace: string, key = "database") {
  return { directory: PLACE, lockspace, key };
}

/** Two guests with one lease. */
async function defineBoth(lab: LibvirtLab, leases: Parameters<LibvirtLab["define"]>[0]["leases"] = []) {
  for (const guest of [ALPHA, BETA]) {
    const disk = await lab.createDisk(`${guest.name}.qcow2`);
    await lab.define({ ...guest, disks: [{ path: disk, format: "qcow2" }], leases });
  }
}

/**
 * Ends alpha, and waits until its lock has gone: while its last writes are looked for, the lock file is open,
 * and whoever opens the disk is waited for too.
 */
async function endAlpha(lab: LibvirtLab): Promise<void> {
  await lab.virsh("destroy", "alpha");
  await until(
    "the lock to go",
    async () => (await runOk(lab, [OUR_DAEMON, "locks", "--json"])).trim() === "[]",
  );
}

Deno.test("a lease in a directory that nobody has registered locks two guests against each other", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  await runOk(lab, ["mkdir", "-p", `${PLACE}/own`]);
  await defineBoth(lab, [lease("own")]);
  // Nobody said that files may be made here.
  assert.match(
    await lab.virshError("start", "alpha"),
    new RegExp(`Unable to open resource ${PLACE}/own/database: No such file or directory`),
  );
  await runOk(lab, ["touch", `${PLACE}/own/database`]);
  await lab.virsh("start", "alpha");
  assert.equal((await byteZeroLocks(lab, `${PLACE}/own/database`)).length, 1);
  assert.match(await lab.virshError("start", "beta"), /'database' is locked by domain 'alpha'/);
  // It stays adopted: still no file is made here, and the lock lives on.
  await lab.stopLibvirtd();
  await lab.startLibvirtd();
  assert.match(await lab.virshError("start", "beta"), /'database' is locked by domain 'alpha'/);
  await lab.virsh("destroy", "alpha");
  await lab.virsh("start", "beta");
});

Deno.test("a lease in a directory that others may write is refused, and the error says why", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  await runOk(lab, ["mkdir", "-p", "-m", "1777", `${PLACE}/all`]);
  await runOk(lab, ["touch", `${PLACE}/all/database`]);
  await defineBoth(lab, [lease("all")]);
  assert.match(
    await lab.virshError("start", "alpha"),
    new RegExp(
      `Lockspace for path ${PLACE}/all does not exist, and its directory cannot be used: ` +
        `others than its owner may write ${PLACE}/all \\(mode 1777\\)`,
    ),
  );
});

Deno.test("a directory that was adopted is refused when others may write it later", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  await runOk(lab, ["mkdir", "-p", `${PLACE}/own`]);
  await runOk(lab, ["touch", `${PLACE}/own/database`]);
  await defineBoth(lab, [lease("own")]);
  await lab.virsh("start", "alpha");
  await endAlpha(lab);
  await runOk(lab, ["chmod", "0777", PLACE]);
  assert.match(
    await lab.virshError("start", "alpha"),
    new RegExp(`its directory cannot be used: others than its owner may write ${PLACE} \\(mode 0777\\)`),
  );
  await runOk(lab, ["chmod", "0755", PLACE]);
  await lab.virsh("start", "alpha");
});

Deno.test("a lock directory that leads elsewhere by now, without any mount, is refused, and no file is left there", async () => {
  await using lab = await LibvirtLab.create({ indirectDisks: true });
  const [nas, local] = [`${PLACE}/nas`, `${PLACE}/local`];
  await runOk(lab, ["mkdir", "-p", nas, local]);
  await runOk(lab, ["mount", "-t", "tmpfs", "nas:/locks", nas]);
  await runOk(lab, ["sh", "-c", `rmdir ${lab.diskLockspace}; ln -s ${nas} ${lab.diskLockspace}`]);
  await lab.startVirtlockd(OUR_DAEMON);
  await lab.startLibvirtd();
  await defineBoth(lab);
  await lab.virsh("start", "alpha");
  assert.equal([...Deno.readDirSync(lab.outside(nas))].length, 1);
  await runOk(lab, ["ln", "-sfn", local, lab.diskLockspace]);
  assert.match(
    await lab.virshError("start", "beta"),
    new RegExp(
      `Lock directory ${lab.diskLockspace} belongs on nas:/locks \\(tmpfs\\), .*Mount nas:/locks again`,
    ),
  );
  assert.deepEqual([...Deno.readDirSync(lab.outside(local))], []);
  await runOk(lab, ["ln", "-sfn", nas, lab.diskLockspace]);
  await lab.virsh("start", "beta");
  await runOk(lab, ["umount", "--lazy", nas]);
});

Deno.test("the file of a lease is made where the settings allow it", async () => {
  await using lab = await LibvirtLab.create();
  await runOk(lab, ["mkdir", "-p", `${PLACE}/set`]);
  await Deno.writeTextFile(lab.outside(CONFIG), `lockspaces = [ "${PLACE}/set" ]\n`);
  await lab.startVirtlockd(OUR_DAEMON);
  await lab.startLibvirtd();
  await defineBoth(lab, [lease("set")]);
  await lab.virsh("start", "alpha");
  assert.equal((await byteZeroLocks(lab, `${PLACE}/set/database`)).length, 1);
  assert.match(await lab.virshError("start", "beta"), /'database' is locked by domain 'alpha'/);
});

Deno.test("leases work again after virtlockd was stopped, without a restart of libvirtd", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  const registered = await lab.createLease("database");
  await defineBoth(lab, [registered]);
  await lab.stopVirtlockd();
  await lab.startVirtlockd(OUR_DAEMON);
  await lab.virsh("start", "alpha");
  assert.match(await lab.virshError("start", "beta"), /'database' is locked by domain 'alpha'/);
});

Deno.test("a lock directory whose file system is not mounted is refused, and the error names it", async () => {
  await using lab = await LibvirtLab.create({ indirectDisks: true });
  const mount = ["mount", "-t", "tmpfs", "nas:/locks", lab.diskLockspace];
  await runOk(lab, ["mkdir", "-p", lab.diskLockspace]);
  await runOk(lab, mount);
  await lab.startVirtlockd(OUR_DAEMON);
  await lab.startLibvirtd();
  await defineBoth(lab);
  await lab.virsh("start", "alpha");
  await endAlpha(lab);
  await runOk(lab, ["umount", lab.diskLockspace]);
  const refusal = new RegExp(
    `Lock directory ${lab.diskLockspace} belongs on nas:/locks \\(tmpfs\\), mounted at ${lab.diskLockspace}, ` +
      `but is now on .*: other hosts would not see a lock there\\. Mount nas:/locks again`,
  );
  assert.match(await lab.virshError("start", "alpha"), refusal);
  // Neither a stop of the daemon nor a crash make it forget.
  await lab.stopVirtlockd();
  await lab.startVirtlockd(OUR_DAEMON);
  assert.match(await lab.virshError("start", "alpha"), refusal);
  const killed = await lab.virtlockdPid();
  Deno.kill(killed, "SIGKILL");
  await lab.untilGone(killed, "virtlockd");
  await lab.startVirtlockd(OUR_DAEMON);
  assert.match(await lab.virshError("start", "alpha"), refusal);
  assert.deepEqual([...Deno.readDirSync(lab.outside(lab.diskLockspace))], []);
  await runOk(lab, mount);
  await lab.virsh("start", "alpha");
  await runOk(lab, ["umount", "--lazy", lab.diskLockspace]);
});

Deno.test("a lock directory that was deleted is made again, for a guest and for libvirtd", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON, { indirectDisks: true });
  await defineBoth(lab);
  await runOk(lab, ["rmdir", lab.diskLockspace]);
  await lab.virsh("start", "alpha");
  assert.equal([...Deno.readDirSync(lab.outside(lab.diskLockspace))].length, 1);
  await endAlpha(lab);
  await runOk(lab, ["rm", "-r", lab.diskLockspace]);
  await lab.stopLibvirtd();
  await lab.startLibvirtd();
  const { mode } = Deno.statSync(lab.outside(lab.diskLockspace));
  assert.equal((mode ?? 0) & 0o7777, 0o700);
});
