import assert from "node:assert/strict";
import { Daemon } from "../support/daemon.ts";
import { isFree } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { TestProcess } from "../support/test_process.ts";
import { host, type Runner, runOk } from "./support/command.ts";
import { installMissing } from "./support/debian_packages.ts";
import type { GuestDisk } from "./support/guest.ts";
import type { LockOptions } from "./support/libvirt.ts";
import { LibvirtLab, OUR_DAEMON, REFERENCE_DAEMON } from "./support/libvirt_lab.ts";
import { SlowDevice, SURE_TO_LAND } from "./support/slow_device.ts";
import { meanwhile } from "../support/meanwhile.ts";
import { until } from "../support/until.ts";

// Guests and other writers that are killed while the kernel still writes for them, on a device on which that
// lands when the test lets it.
// Their lock has to stay until the write has landed. Needs root and cgroup v1's blkio controller.

const ALPHA = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
const BETA = { name: "beta", uuid: "66666666-7777-8888-9999-000000000000" };
/** Bytes of one write, and what they are. */
const WRITE = SURE_TO_LAND;
const BYTE = 0x5a;
/** In bytes per second: one write takes some seconds, in which others may happen. */
const SPEED = 175_000;
/** What has not landed by then never does: nothing holds it up any more. */
const LATE_MS = 20_000;
const SOURCE = new URL("../support/slow_writer.c", import.meta.url).pathname;

/** A disk whose guest writes past the page cache, by io_uring. */
function disk(parts: Pick<GuestDisk, "path" | "type">): GuestDisk {
  return { ...parts, format: "raw", cache: "none", io: "io_uring" };
}

/** A lab whose daemon has settings of its own. */
async function labWith(settings: string, options?: LockOptions): Promise<LibvirtLab> {
  const lab = await LibvirtLab.create(options);
  try {
    await Deno.writeTextFile(lab.outside("/etc/libvirt/virtlockd.conf"), `${settings}\n`);
    await lab.startVirtlockd(OUR_DAEMON);
    await lab.startLibvirtd();
    return lab;
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

interface Setup {
  readonly what: string;
  readonly block: boolean;
  readonly namespaces?: boolean;
  readonly indirect?: boolean;
}

const SETUPS: readonly Setup[] = [
  { what: "an image", block: false },
  { what: "an image in a guest's own mount namespace", block: false, namespaces: true },
  { what: "an image that is locked by a file named after it", block: false, indirect: true },
  { what: "a block device", block: true },
  { what: "a block device in a guest's own mount namespace", block: true, namespaces: true },
  { what: "a block device that is locked by a file named after it", block: true, indirect: true },
];

for (const { what, block, namespaces = false, indirect = false } of SETUPS) {
  Deno.test(`a guest that is killed keeps the lock of ${what} until its write has landed`, async () => {
    await using lab = await LibvirtLab.start(OUR_DAEMON, { indirectDisks: indirect, namespaces });
    await using slow = await SlowDevice.create(lab.directory);
    const directory = `${lab.directory}/mnt`;
    const path = block ? slow.path : `${directory}/image`;
    if (!block) {
      await runOk(lab, ["mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0", slow.path]);
      await runOk(lab, ["mkdir", directory]);
      await runOk(lab, ["mount", slow.path, directory]);
      // Written once, so that the write of the test is one to the device and not to the journal first.
      await runOk(lab, ["dd", "if=/dev/zero", `of=${path}`, "bs=1M", "count=1", "conv=fsync", "status=none"]);
    }
    const image = disk(block ? { path, type: "block" } : { path });
    for (const guest of [ALPHA, BETA]) await lab.define({ ...guest, disks: [image] });
    await lab.virsh("start", "alpha");
    const lock = await lockFile(lab, path, indirect);
    const pid = await lab.guestPid("alpha");
    await slow.slowDown(pid);
    const last = block ? WRITE - 1 : await placeOf(lab, path);
    await write(lab, slow);
    const landed = () => slow.has(BYTE, last);
    Deno.kill(pid, "SIGKILL");
    await lab.untilGone(pid, "alpha's process");
    const reason = await until("the lock to be kept for a reason", async () => {
      const [lock] = JSON.parse(await runOk(lab, [OUR_DAEMON, "locks", "--json"]));
      // The daemon hears of the end when the test does.
      if (lock?.state === "held") return false;
      assert.equal(lock?.state, "settling");
      return lock.reason !== "its writes are being looked for" && String(lock.reason);
    });
    assert.equal(reason, "its last writes have not landed yet");
    assert.equal(await landed(), false);
    assert.equal(isFree(lab.outside(lock)), false);
    // With a node of its own for the device the next QEMU does not see that the last one still writes: it is
    // started at once, waits for its lock, and is not refused. Another QEMU would refuse the disk itself.
    if (block && namespaces) {
      const start = meanwhile(lab.virsh("start", "beta"));
      await until("beta's process", () => lab.guestPid("beta").catch(() => undefined));
      assert.equal(isFree(lab.outside(lock)), false);
      await slow.letGo();
      await start;
    } else {
      await slow.letGo();
      await until("the lock to go", () => isFree(lab.outside(lock)));
      assert.equal(await whetherLanded(landed), "before");
      await lab.virsh("start", "beta");
    }
    assert.equal(await landed(), true);
    await lab.virsh("destroy", "beta");
    if (!block) await runOk(lab, ["umount", "--lazy", directory]);
  });
}

Deno.test("a guest that is started again at once gets its lock, though its new process has the image open by then", async () => {
  // Who was kept out would be refused after this time.
  await using lab = await labWith("storage_timeout = 120", { indirectDisks: true });
  const path = await lab.createDisk("a.qcow2");
  await lab.define({ ...ALPHA, disks: [{ path, format: "qcow2" }] });
  const locks = async () => JSON.parse(await runOk(lab, [OUR_DAEMON, "locks", "--json"]));
  // The first guest that ends has the process started that looks for last writes.
  await lab.virsh("start", "alpha");
  await lab.virsh("destroy", "alpha");
  await until("the lock to go", async () => (await locks()).length === 0);
  await lab.virsh("start", "alpha");
  const before = await lab.guestPid("alpha");
  const helpers = ["pgrep", "--ns", String(before), "--nslist", "mnt", "-f", "internal-storage"];
  const pids = (await runOk(host, helpers)).trim().split("\n").map(Number);
  for (const pid of pids) Deno.kill(pid, "SIGSTOP");
  await lab.virsh("destroy", "alpha");
  const start = meanwhile(lab.virsh("start", "alpha"));
  const lock = await until("the new process to wait for the lock", async () => {
    const pid = await lab.guestPid("alpha").catch(() => before);
    return pid !== before && await hasLocked(pid, path) && (await locks())[0];
  });
  assert.equal(lock.state, "settling");
  for (const pid of pids) Deno.kill(pid, "SIGCONT");
  await start;
  assert.equal((await locks())[0].state, "held");
});

Deno.test("a guest that is killed right after a disk was attached keeps its lock until its write has landed", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON, { indirectDisks: true });
  await using slow = await SlowDevice.create(lab.directory);
  const first = await lab.createDisk("a.raw", "raw");
  await lab.define({ ...ALPHA, disks: [disk({ path: first })] });
  await lab.virsh("start", "alpha");
  const pid = await lab.guestPid("alpha");
  await slow.slowDown(pid);
  // What the guest has open is looked at again a second after a grant.
  await lab.virsh(
    ...["attach-disk", "alpha", slow.path, "sda", "--targetbus", "usb"],
    ...["--cache", "none", "--io", "io_uring"],
  );
  const device = "/machine/peripheral/usb-disk0/usb-disk0.0/legacy[0]";
  const command = `qemu-io -d ${device} "aio_write -P 90 0 ${WRITE}"`;
  assert.equal((await lab.virsh("qemu-monitor-command", "alpha", "--hmp", command)).trim(), "");
  await given(slow, WRITE);
  Deno.kill(pid, "SIGKILL");
  await lab.untilGone(pid, "alpha's process");
  const lock = lab.outside(await lockFile(lab, slow.path, true));
  assert.equal(isFree(lock), false);
  await slow.letGo();
  await until("the lock to go", () => isFree(lock));
  assert.equal(await slow.has(90, WRITE - 1), true);
});

Deno.test("a guest that is killed while no daemon watched keeps its lock until its write has landed", async () => {
  await using lab = await labWith("settle_timeout = 1", { namespaces: true });
  const daemon = await lab.virtlockdPid();
  await using slow = await SlowDevice.create(lab.directory);
  await lab.define({ ...ALPHA, disks: [disk({ path: slow.path, type: "block" })] });
  await lab.virsh("start", "alpha");
  const pid = await lab.guestPid("alpha");
  await slow.slowDown(pid);
  await write(lab, slow);
  for (const [process, name] of [[daemon, "virtlockd"], [pid, "alpha's process"]] as const) {
    Deno.kill(process, "SIGKILL");
    await lab.untilGone(process, name);
  }
  await lab.startVirtlockd(OUR_DAEMON);
  await until("the lock to be taken again", () => !isFree(lab.outside(slow.path)));
  await slow.letGo();
  await until("the lock to go", () => isFree(lab.outside(slow.path)));
  assert.equal(await slow.has(BYTE, WRITE - 1), true);
});

Deno.test("the hand-over to libvirt's daemon waits until the last write of a guest has landed", async () => {
  await using lab = await LibvirtLab.create();
  await using slow = await SlowDevice.create(lab.directory);
  await runOk(lab, ["mount", "--bind", OUR_DAEMON, REFERENCE_DAEMON]);
  const daemon = await lab.startVirtlockd(REFERENCE_DAEMON);
  await lab.startLibvirtd();
  await lab.define({ ...ALPHA, disks: [disk({ path: slow.path, type: "block" })] });
  await lab.virsh("start", "alpha");
  const pid = await lab.guestPid("alpha");
  await slow.slowDown(pid);
  await write(lab, slow);
  Deno.kill(pid, "SIGKILL");
  await lab.untilGone(pid, "alpha's process");
  assert.equal(isFree(lab.outside(slow.path)), false);
  // Lazily: a helper that is just being started may be reading it.
  await runOk(lab, ["umount", "--lazy", REFERENCE_DAEMON]);
  await runOk(lab, ["kill", "-USR1", String(daemon)]);
  // The hand-over waits for some seconds only.
  await slow.letGo(SPEED);
  await until("libvirt's daemon to answer", async () => {
    return (await lab.virtAdmin("version")).includes("Running against daemon: 9.0.0");
  });
  assert.equal(await slow.has(BYTE, WRITE - 1), true);
  assert.equal(await lab.virtlockdPid(), daemon);
  assert.equal(isFree(lab.outside(slow.path)), true);
});

Deno.test("a guest that ends with nothing under way gives its locks up by itself", async () => {
  // It does not go by that.
  await using lab = await labWith("settle_timeout = 3600", { namespaces: true });
  const path = await lab.createDisk("a.raw", "raw");
  await lab.define({ ...ALPHA, disks: [disk({ path })] });
  await lab.virsh("start", "alpha");
  const pid = await lab.guestPid("alpha");
  Deno.kill(pid, "SIGKILL");
  await lab.untilGone(pid, "alpha's process");
  await until("the lock to go", () => isFree(lab.outside(path)));
});

Deno.test("a writer other than QEMU that is killed keeps its lock until its write has landed", async () => {
  await installMissing(["gcc", "libc6-dev"]);
  await using daemon = await Daemon.start({ args: ["-v"] });
  const { directory } = daemon.place;
  daemon.place.writeConfig("settle_timeout = 600\n");
  daemon.signal("SIGHUP");
  await daemon.log.match(/Configuration read again/);
  await using slow = await SlowDevice.create(directory);
  const mount = `${directory}/mnt`;
  await runOk(host, ["mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0", slow.path]);
  await runOk(host, ["mkdir", mount]);
  await runOk(host, ["mount", slow.path, mount]);
  try {
    const path = `${mount}/image`;
    await runOk(host, ["dd", "if=/dev/zero", `of=${path}`, "bs=1M", "count=1", "conv=fsync", "status=none"]);
    const last = await placeOf(host, path);
    const program = `${directory}/slow_writer`;
    await runOk(host, ["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program, SOURCE]);
    const command = ["sh", "-c", 'read go; exec "$@"', "sh", program, path, String(WRITE)];
    await using writer = new TestProcess(command, Deno.env.toObject(), "/", "piped");
    await using client = await LockClient.connect(daemon.socket);
    await client.register(testOwner(writer.pid));
    await client.acquire("", path);
    await slow.slowDown(writer.pid);
    await writer.send("go\n");
    await writer.stdout.match(/submitted/);
    await given(slow, WRITE);
    await writer.kill();
    await daemon.log.match(/stays locked although its process is gone/);
    assert.equal(await slow.has(0x78, last), false);
    assert.equal(isFree(path), false);
    await slow.letGo();
    await until("the lock to go", () => isFree(path));
    assert.equal(await slow.has(0x78, last), true);
  } finally {
    await runOk(host, ["umount", "--lazy", mount]);
  }
});

Deno.test("whatever libvirt does to a guest while it writes, its locks are those of its image, and the last write keeps it", async (t) => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  await using slow = await SlowDevice.create(lab.directory);
  await slow.letGo(SPEED);
  const directory = `${lab.directory}/mnt`;
  await runOk(lab, ["mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0", slow.path]);
  await runOk(lab, ["mkdir", directory]);
  await runOk(lab, ["mount", slow.path, directory]);
  const [image, overlay, copy] = [`${directory}/image`, `${directory}/overlay`, `${directory}/copy`];
  await runOk(lab, ["dd", "if=/dev/zero", `of=${image}`, "bs=1M", "count=1", "conv=fsync", "status=none"]);
  await lab.define({ ...ALPHA, disks: [disk({ path: image })] });
  await lab.virsh("start", "alpha");
  /** Begins a write, which the device has been given when this returns. */
  const busy = async (byte?: number) => {
    const pid = await lab.guestPid("alpha");
    await slow.slowDown(pid);
    await write(lab, slow, byte);
    return pid;
  };
  /** What the daemon has locked; none of it may wait for anything. */
  const locks = async (...paths: string[]) => {
    await until(`the locks to be those of ${paths}`, async () => {
      const entries: { resource: string; state: string }[] = JSON.parse(
        await runOk(lab, [OUR_DAEMON, "locks", "--json"]),
      );
      return entries.every(({ state }) => state === "held") &&
        entries.map(({ resource }) => resource).join() === paths.join();
    });
  };

  await t.step(
    "suspend gives the lock up before the write has landed, as libvirt's protocol has it",
    async () => {
      await busy();
      const suspended = meanwhile(lab.virsh("suspend", "alpha"));
      await locks();
      await suspended;
      await lab.virsh("resume", "alpha");
      await locks(image);
    },
  );

  await t.step("snapshot", async () => {
    await busy();
    await lab.virsh(
      ...["snapshot-create-as", "alpha", "snap", "--disk-only", "--no-metadata", "--atomic"],
      ...["--diskspec", `vda,file=${overlay}`],
    );
    await locks(overlay);
  });

  await t.step("commit", async () => {
    await busy();
    await lab.virsh("blockcommit", "alpha", "vda", "--active", "--wait", "--pivot");
    await locks(image);
  });

  await t.step("copy", async () => {
    await busy();
    await lab.virsh(
      "blockcopy",
      "alpha",
      "vda",
      copy,
      "--wait",
      "--pivot",
      "--transient-job",
      "--format",
      "raw",
    );
    await locks(copy);
  });

  await t.step("save and restore", async () => {
    await busy();
    const state = `${lab.directory}/alpha.save`;
    await lab.virsh("save", "alpha", state);
    await locks();
    await lab.virsh("restore", state);
    await locks(copy);
  });

  await t.step("kill -9", async () => {
    const last = await placeOf(lab, copy);
    const byte = 0x66;
    await slow.hold();
    const pid = await busy(byte);
    Deno.kill(pid, "SIGKILL");
    await lab.untilGone(pid, "alpha's process");
    assert.equal(await slow.has(byte, last), false);
    assert.equal(isFree(lab.outside(copy)), false);
    await slow.letGo();
    await until("the lock to go", () => isFree(lab.outside(copy)));
    assert.equal(await slow.has(byte, last), true);
  });
  await runOk(lab, ["umount", "--lazy", directory]);
});

/** The file on which virtlockd has the lock of a disk. */
async function lockFile(lab: LibvirtLab, path: string, indirect: boolean): Promise<string> {
  if (!indirect) return path;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(path)));
  return `${lab.diskLockspace}/${digest.toHex()}`;
}

/** Has the guest's QEMU begin a write, which the device has been given when this returns. */
async function write(lab: LibvirtLab, slow: SlowDevice, byte = BYTE): Promise<void> {
  const before = await slow.given();
  const device = "/machine/peripheral/virtio-disk0/virtio-backend";
  const command = `qemu-io -d ${device} "aio_write -P ${byte} 0 ${WRITE}"`;
  assert.equal((await lab.virsh("qemu-monitor-command", "alpha", "--hmp", command)).trim(), "");
  await given(slow, before + WRITE);
}

/** When a write has landed: before this, a while after it, or never. The latter two are different faults. */
async function whetherLanded(landed: () => Promise<boolean>): Promise<"before" | "later" | "never"> {
  if (await landed()) return "before";
  try {
    await until("the write to land", landed, LATE_MS);
    return "later";
  } catch {
    return "never";
  }
}

/** Waits until the device has been given so much: until then a write may be given up with its process. */
async function given(slow: SlowDevice, bytes: number): Promise<void> {
  await until("the write to begin", async () => await slow.given() >= bytes);
}

/** Where the last byte of the write to an image is on its device: filefrag(8), blocks of 4 KiB. */
async function placeOf(runner: Runner, path: string): Promise<number> {
  const last = (WRITE >> 12) - 1;
  // ext:     logical_offset:        physical_offset: length:   expected: flags:
  const extents = (await runOk(runner, ["filefrag", "-v", "-b4096", path]))
    .matchAll(/^ *\d+: *(\d+)\.\. *(\d+): *(\d+)\.\./gm);
  for (const [, first, end, physical] of extents) {
    if (last < Number(first) || last > Number(end)) continue;
    return (Number(physical) + last - Number(first) + 1) * 4096 - 1;
  }
  throw new Error(`Find block ${last} of ${path}: filefrag shows none`);
}

/**
 * Whether a QEMU has locked an image, as one does that may write it. One that is just being started may not
 * be there yet, and closes files again.
 */
async function hasLocked(pid: number, path: string): Promise<boolean> {
  const entries = await Array.fromAsync(Deno.readDir(`/proc/${pid}/fd`)).catch(() => []);
  const paths = await Promise.all(
    entries.map(({ name }) => Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "")),
  );
  const entry = entries[paths.indexOf(path)];
  if (entry === undefined) return false;
  return (await Deno.readTextFile(`/proc/${pid}/fdinfo/${entry.name}`).catch(() => "")).includes("lock:");
}
