import assert from "node:assert/strict";
import { LockClient, testOwner } from "../support/lock_client.ts";
import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import type { Guest } from "./support/guest.ts";
import { diagnosis, examine } from "./support/doctor.ts";
import { LibvirtLab, OUR_DAEMON, REFERENCE_DAEMON } from "./support/libvirt_lab.ts";
import { runOk } from "./support/command.ts";

// What the commands say of real guests.

const ALPHA: Pick<Guest, "name" | "uuid"> = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };

for (const indirectDisks of [false, true]) {
  const kind = indirectDisks ? "in a lock directory" : "by itself";
  Deno.test(`doctor and locks see a guest whose disk is locked ${kind}`, async () => {
    await using lab = await LibvirtLab.start(OUR_DAEMON, { indirectDisks });
    const disk = await lab.createDisk("a.qcow2");
    const base = await lab.createDisk("readonly.raw", "raw");
    const disks = [
      { path: disk, format: "qcow2" as const },
      { path: base, format: "raw" as const, readonly: true },
    ];
    await lab.define({ ...ALPHA, disks });
    await lab.virsh("start", "alpha");
    const pid = await lab.guestPid("alpha");

    const locks: LockEntry[] = JSON.parse(
      await runOk(lab, [OUR_DAEMON, "locks", "--json", "--domain", "alpha"]),
    );
    assert.equal(locks.length, 1);
    assert.deepEqual(locks[0]?.holders.map(({ domain, uuid, pid }) => [domain, uuid, pid]), [
      ["alpha", ALPHA.uuid, pid],
    ]);
    // A disk is found by its path, whatever its lock is called; so is one by a pattern.
    for (const path of [disk, `${lab.directory}/a.q*`]) {
      assert.deepEqual(JSON.parse(await runOk(lab, [OUR_DAEMON, "locks", "--json", "--path", path])), [
        indirectDisks ? { ...locks[0], disk } : locks[0],
      ]);
    }
    const content = ["ok: The guests that run have their disks locked: 'alpha'"];
    assert.deepEqual(await diagnosis(lab, "guests"), content);
    assert.deepEqual(await diagnosis(lab, "lock manager"), [
      'ok: /etc/libvirt/qemu.conf has lock_manager = "lockd"',
    ]);
    assert.equal((await examine(lab)).some(({ level }) => level === "problem"), false);

    // Suspending gives the lock up, and that is right.
    await lab.virsh("suspend", "alpha");
    assert.equal(await runOk(lab, [OUR_DAEMON, "locks"]), "No locks.\n");
    assert.deepEqual(await diagnosis(lab, "guests"), content);
  });
}

Deno.test("release spares a guest that lives, unless it is named", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON, { indirectDisks: true });
  const disk = await lab.createDisk("a.qcow2");
  await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }] });
  await lab.virsh("start", "alpha");
  const pid = await lab.guestPid("alpha");
  const owner = `domain 'alpha' (uuid ${ALPHA.uuid}, pid ${pid})`;
  const refused = await lab.run([OUR_DAEMON, "release", "--yes", disk]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^virtlockd: error: domain 'alpha' .* holds .* and lives: end the guest/);
  const lockFile = JSON.parse(await runOk(lab, [OUR_DAEMON, "locks", "--json"]))[0]?.path;
  const order = [OUR_DAEMON, "release", "--yes", "--force", "--guest", "alpha", disk];
  assert.equal(
    await runOk(lab, order),
    `Released ${lockFile} of ${owner}, whose process lives. It is free.\n`,
  );
  assert.equal(await runOk(lab, [OUR_DAEMON, "locks"]), "No locks.\n");
  assert.deepEqual(await diagnosis(lab, "guests"), [
    `problem: Guest 'alpha' (process ${pid}) runs without any lock`,
  ]);
  // What doctor advises brings the lock back.
  await lab.virsh("suspend", "alpha");
  await lab.virsh("resume", "alpha");
  assert.deepEqual(await diagnosis(lab, "guests"), [
    "ok: The guests that run have their disks locked: 'alpha'",
  ]);
});

Deno.test("release spares a disk that a QEMU writes to, whoever holds the lock", async () => {
  await using lab = await LibvirtLab.create();
  const conf = lab.outside("/etc/libvirt/qemu.conf");
  await Deno.writeTextFile(conf, (await Deno.readTextFile(conf)).replace("lock_manager", "#lock_manager"));
  await lab.startVirtlockd(OUR_DAEMON);
  await lab.startLibvirtd();
  const disk = await lab.createDisk("a.qcow2");
  await lab.define({ ...ALPHA, disks: [{ path: disk, format: "qcow2" }] });
  await lab.virsh("start", "alpha");
  // An owner without a process, as every guest of Xen is: nothing tells whether it lives.
  await using client = await LockClient.connect(lab.outside("/run/libvirt/virtlockd-sock"));
  await client.register({ ...testOwner(1), pid: 0 });
  await client.acquire("", disk);
  const release = () => lab.run([OUR_DAEMON, "release", "--yes", disk]);
  const refused = await release();
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /, which is in use: .*; --force --guest guest-1 frees it all the same\n$/);
  await lab.virsh("destroy", "alpha");
  assert.equal((await release()).code, 0);
  assert.equal(await runOk(lab, [OUR_DAEMON, "locks"]), "No locks.\n");
});

Deno.test("the commands tell libvirt's own daemon from ours", async () => {
  await using lab = await LibvirtLab.create();
  await lab.startVirtlockd(REFERENCE_DAEMON);
  const { code, stderr } = await lab.run([OUR_DAEMON, "locks"]);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^virtlockd: error: What listens at .* it is libvirt's own virtlockd, or not an admin socket\n$/,
  );
  assert.match(
    (await diagnosis(lab, "daemon")).join(),
    /^warning: What listens at .* libvirt's own virtlockd/,
  );
});
