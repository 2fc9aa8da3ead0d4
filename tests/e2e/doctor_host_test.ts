import assert from "node:assert/strict";
import { runOk } from "./support/command.ts";
import { type Diagnosis, diagnosis, examine } from "./support/doctor.ts";
import { guestXml } from "./support/guest.ts";
import { HangingMount } from "./support/hanging_mount.ts";
import { LibvirtLab, OUR_DAEMON } from "./support/libvirt_lab.ts";
import { until } from "../support/until.ts";

// What doctor says of a host on which something is wrong, and that its advice puts it right.

const UUID = "11111111-2222-3333-4444-555555555555";
const PLUGINS = "/usr/lib/x86_64-linux-gnu/libvirt/lock-driver";
/** A guest with one disk. @returns the disk's path */
async function defineGuest(lab: LibvirtLab): Promise<string> {
  const path = await lab.createDisk("a.qcow2");
  await lab.define({ name: "alpha", uuid: UUID, disks: [{ path, format: "qcow2" }] });
  return path;
}

/** Everything that is not as it should be. */
async function troubles(lab: LibvirtLab): Promise<Diagnosis[]> {
  return (await examine(lab)).filter(({ level }) => level !== "ok");
}

Deno.test(
  "doctor finds lock directories that libvirtd has not registered yet",
  async () => {
    await using lab = await LibvirtLab.start(OUR_DAEMON);
    await defineGuest(lab);
    assert.deepEqual(await troubles(lab), []);
    // The setting is new, and libvirtd has not been restarted since.
    await lab.configure({ indirectDisks: true });
    await runOk(lab, ["mkdir", lab.diskLockspace]);
    const [trouble, ...others] = await troubles(lab);
    assert.equal(
      trouble?.found,
      `libvirtd runs, but has not registered the lock directory ${lab.diskLockspace}: ` +
        "guests that need a lock in it will not start",
    );
    assert.deepEqual(others, []);
    await lab.stopLibvirtd();
    await lab.startLibvirtd();
    assert.deepEqual(await troubles(lab), []);
    await lab.virsh("start", "alpha");
    assert.deepEqual(await troubles(lab), []);
  },
);

Deno.test(
  "doctor finds a lease that its guest will not get, and its advice helps",
  async () => {
    await using lab = await LibvirtLab.start(OUR_DAEMON);
    const place = "/var/lib/libvirt/place";
    const lease = { directory: place, lockspace: "own", key: "database" };
    await lab.define({ name: "alpha", uuid: UUID, leases: [lease] });
    const said = (why: string) => [
      `problem: Guest 'alpha' has the lease ${place}/own/database and will not start: ${why}`,
    ];
    assert.deepEqual(await diagnosis(lab, "leases"), said(`there is no directory ${place}/own`));
    assert.match(await lab.virshError("start", "alpha"), /does not exist/);

    await runOk(lab, ["mkdir", "-p", `${place}/own`]);
    await runOk(lab, ["chmod", "0777", `${place}/own`]);
    const open = `its directory cannot be used: others than its owner may write ${place}/own (mode 0777)`;
    assert.deepEqual(await diagnosis(lab, "leases"), said(open));
    assert.match(
      await lab.virshError("start", "alpha"),
      /its directory cannot be used: others than its owner/,
    );

    await runOk(lab, ["chmod", "0700", `${place}/own`]);
    assert.deepEqual(await diagnosis(lab, "leases"), said("that file is not there"));
    assert.match(await lab.virshError("start", "alpha"), /No such file or directory/);

    await runOk(lab, ["touch", `${place}/own/database`]);
    assert.deepEqual(await troubles(lab), []);
    await lab.virsh("start", "alpha");
  },
);

Deno.test("doctor finds a lock directory whose file system is not mounted", async () => {
  await using lab = await LibvirtLab.create({ indirectDisks: true });
  await runOk(lab, ["mkdir", lab.diskLockspace]);
  await runOk(lab, ["mount", "-t", "tmpfs", "nas:/locks", lab.diskLockspace]);
  await lab.startVirtlockd(OUR_DAEMON);
  await lab.startLibvirtd();
  await defineGuest(lab);
  assert.deepEqual(await troubles(lab), []);
  await runOk(lab, ["umount", lab.diskLockspace]);
  const found = await diagnosis(lab, "lock directories");
  assert.deepEqual(found.filter((line) => !line.startsWith("ok")), [
    `problem: Lock directory ${lab.diskLockspace} belongs on nas:/locks (tmpfs) at ${lab.diskLockspace}, ` +
    "which is not mounted: no guest gets a lock in it",
  ]);
  assert.match(await lab.virshError("start", "alpha"), /belongs on nas:\/locks/);
});

for (const indirectDisks of [false, true]) {
  const kind = indirectDisks ? "the lock file of a guest" : "a guest's image";
  Deno.test(`doctor finds that ${kind} was replaced or deleted while it runs`, async () => {
    await using lab = await LibvirtLab.start(OUR_DAEMON, { indirectDisks });
    await defineGuest(lab);
    await lab.virsh("start", "alpha");
    const [lock] = JSON.parse(await runOk(lab, [OUR_DAEMON, "locks", "--json"]));
    assert.deepEqual(await diagnosis(lab, "lock files"), []);
    const said = (what: string) => [
      `problem: The file ${lock.path}, on which guest 'alpha' has its lock, ${what}: ` +
      "another guest would be given a lock there",
    ];
    await runOk(lab, ["cp", lock.path, `${lock.path}.new`]);
    await runOk(lab, ["mv", `${lock.path}.new`, lock.path]);
    assert.deepEqual(await diagnosis(lab, "lock files"), said("was replaced by another one"));
    await runOk(lab, ["rm", lock.path]);
    assert.deepEqual(await diagnosis(lab, "lock files"), said("is gone"));
    await lab.virsh("destroy", "alpha");
    // Its lock stays until its last writes have been looked for.
    await until("nothing to be said", async () => (await diagnosis(lab, "lock files")).length === 0);
  });
}

Deno.test("doctor finds a configuration that the daemon would not read again", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  const path = "/etc/libvirt/virtlockd.conf";
  await Deno.writeTextFile(lab.outside(path), 'log_level = 3\nmax_clients = "five"\n');
  assert.deepEqual(await diagnosis(lab, "configuration"), [
    `problem: ${path}:2: expected an integer from 1 to 4294967295 for "max_clients", got the string "five"`,
  ]);
  const { stderr } = await lab.run([OUR_DAEMON, "-f", path, "-p", `${lab.directory}/pid`]);
  assert.match(stderr, /virtlockd\.conf:2: expected an integer from 1 to 4294967295 for "max_clients"/);
});

Deno.test(
  "doctor finds that libvirt's plugin is missing, without which libvirt fails",
  async () => {
    await using lab = await LibvirtLab.create();
    await lab.startVirtlockd(OUR_DAEMON);
    assert.deepEqual(await diagnosis(lab, "lock plugin"), [
      `ok: libvirt's plugin is installed: ${PLUGINS}/lockd.so`,
    ]);
    await runOk(lab, ["mount", "-t", "tmpfs", "none", PLUGINS]);
    assert.deepEqual(await diagnosis(lab, "lock plugin"), [
      'problem: libvirt\'s plugin lockd.so is not installed, but lock_manager = "lockd" needs it: libvirt does not start',
    ]);
    const { stderr } = await lab.run(["timeout", "10", "libvirtd"]);
    assert.match(stderr, /lockd\.so/);
  },
);

Deno.test("doctor says what helps a daemon that hangs, and it helps", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  const pid = await lab.virtlockdPid();
  Deno.kill(pid, "SIGSTOP");
  const [finding] = await examine(lab);
  assert.equal(finding?.level, "problem");
  assert.match(finding?.found ?? "", /did not answer within 5 s$/);
  const [, command = ""] = /: (kill -CONT \d+)$/.exec(finding?.advice ?? "") ?? [];
  assert.equal(command, `kill -CONT ${pid}`);
  await runOk(lab, command.split(" "));
  assert.deepEqual(await troubles(lab), []);
});

Deno.test(
  "doctor warns of a disk on the network, for which libvirt asks for no lock",
  async () => {
    await using lab = await LibvirtLab.start(OUR_DAEMON);
    const disk = await lab.createDisk("exported.raw", "raw");
    const socket = `${lab.directory}/nbd.sock`;
    await runOk(lab, ["qemu-nbd", "--fork", "--persistent", "-f", "raw", "-x", "disk", "-k", socket, disk]);
    const xml = guestXml({ name: "alpha", uuid: UUID }).replace(
      "</devices>",
      "<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nbd' name='disk'>" +
        `<host transport='unix' socket='${socket}'/></source><target dev='vda' bus='virtio'/></disk></devices>`,
    );
    await runOk(lab, ["virsh", "-q", "create", "/dev/stdin"], { input: xml });
    assert.equal(await runOk(lab, [OUR_DAEMON, "locks"]), "No locks.\n");
    assert.deepEqual((await troubles(lab)).map(({ check, found }) => `${check}: ${found}`), [
      "disks without locks: Guest 'alpha' may write what libvirt never locks: nbd disk",
    ]);
  },
);

Deno.test("doctor does not hang with storage that hangs, and says which", async () => {
  const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-lab-" });
  try {
    await using mount = await HangingMount.mount(directory, "remote");
    await using lab = await LibvirtLab.create({}, mount.point);
    const conf = lab.outside("/etc/libvirt/qemu-lockd.conf");
    await Deno.writeTextFile(conf, `file_lockspace_dir = "${mount.point}/locks"\n`);
    await lab.startVirtlockd(OUR_DAEMON);
    await lab.startLibvirtd();
    await defineGuest(lab);
    await lab.virsh("start", "alpha");
    assert.deepEqual(await diagnosis(lab, "lock files"), []);
    assert.match(
      (await diagnosis(lab, "network storage")).join(),
      /^warning: Locks on .* whose program decides$/,
    );
    await mount.hang();
    // A doctor that hangs is ended by its deadline, and the test fails.
    assert.deepEqual(await diagnosis(lab, "storage"), [
      `problem: The storage at ${mount.point} does not answer: guests with disks on it cannot start or stop`,
    ]);
    await mount.goOn();
    assert.deepEqual(await diagnosis(lab, "storage"), []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
