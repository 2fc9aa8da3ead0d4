import assert from "node:assert/strict";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { refusalOf } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";
import { host, runOk } from "../e2e/support/command.ts";
import { installMissing } from "../e2e/support/debian_packages.ts";
import { debianDisk } from "../virtual_machine/debian_disk.ts";
import { LastingMachine } from "../virtual_machine/lasting_machine.ts";
import { step } from "../virtual_machine/steps.ts";
import { hostDisk } from "./host_disk.ts";

// A host of a cluster that is reset while guests run: a virtual machine with Debian's kernel and systemd and
// this tree's packages. etcd runs outside of it, as a cluster's goes on when one host is reset, and so does
// another host, which asks for the guests' locks. `deno task test:reboot`, as root: some minutes.

const PACKAGES = [
  "linux-image-amd64",
  "kmod",
  "udev",
  "dbus",
  "systemd",
  "systemd-sysv",
  "procps",
  "qemu-guest-agent",
  "libvirt-daemon-system",
];
/** How long anything may take in a machine without KVM, in ms. */
const PATIENCE = 20 * 60_000;
/** Pause between two looks into a machine, in ms. */
const EVERY = 2000;
/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
/** The guest that is started with its host, and the one that a person starts: names of their locks too. */
const [AUTO, BY_HAND] = ["started-with-it", "by-hand"] as const;
const SETTINGS = "/etc/libvirt/virtlockd.conf";

/** What the daemon of this start of the machine has told its journal. */
async function journal(machine: LastingMachine): Promise<string> {
  return await machine.sh("journalctl --no-pager --boot --output=cat --unit=virtlockd.service");
}

/** What the daemon has said to a guest of the machine, when it has. */
async function answerTo(machine: LastingMachine, guest: string): Promise<string> {
  return await until(
    `an answer to ${guest}`,
    async () => {
      return await machine.sh(`cat /run/guest-${guest} 2>/dev/null || true`) || undefined;
    },
    PATIENCE,
    EVERY,
  );
}

interface Start {
  readonly boot: string;
  readonly machine: string;
}

/** Which start of which machine it is. */
async function startOf(machine: LastingMachine): Promise<Start> {
  const ids = await machine.sh("cat /proc/sys/kernel/random/boot_id /etc/machine-id");
  const [boot = "", id = ""] = ids.split("\n");
  return { boot, machine: id };
}

/** Waits until it has been started again. */
async function untilStarted(machine: LastingMachine, before: Start): Promise<Start> {
  const now = await until(
    "the machine to be started again",
    async () => {
      // What was asked of the agent before is not answered after a reset.
      const start = await startOf(machine).catch(() => undefined);
      return start !== undefined && start.boot !== before.boot && start;
    },
    PATIENCE,
    EVERY,
  );
  assert.equal(now.machine, before.machine);
  return now;
}

/**
 * The other host asks for a lock, for a guest that ends when it has got it.
 *
 * @returns why it does not get it
 */
async function rivalGets({ daemon, space }: ClusterHost, lock: string): Promise<string | undefined> {
  await using guest = await Holder.start(daemon);
  return await refusalOf(guest.acquire(space, lock, AUTOCREATE));
}

async function isLocked(rival: ClusterHost, lock: string): Promise<void> {
  assert.match(
    await rivalGets(rival, lock) ?? "",
    new RegExp(`is locked by domain '${lock}' .* on host 'kvm7'`),
  );
}

/** Locks that are in etcd, with the session that has each. */
async function locks(etcd: Etcd): Promise<Readonly<Record<string, string>>> {
  const prefix = "/virtlockd/test/lock/scsi/";
  const found = [...await etcd.keys(prefix)];
  return Object.fromEntries(
    found.map(([key, value]) => [key.slice(prefix.length), JSON.parse(value).session]),
  );
}

/** Waits until a lock that is in etcd is nobody's. */
async function untilFree(etcd: Etcd, name: string): Promise<void> {
  await until(
    `${name} to be free`,
    async () => (await locks(etcd))[name] === undefined,
    PATIENCE,
    EVERY,
  );
}

Deno.test("a host that is reset frees by itself what it had where it is trusted, and a copy of it frees nothing", async () => {
  await installMissing([
    "mmdebstrap",
    "qemu-system-x86",
    "e2fsprogs",
    "etcd-server",
    "etcd-client",
    "systemd",
  ]);
  await using stack = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-reboot-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const etcd = stack.use(await Etcd.start());
  const rival = stack.use(await ClusterHost.start(etcd, "rival"));
  const kernel = await debianDisk("reboot", PACKAGES, directory);
  const endpoint = `http://10.0.2.2:${new URL(etcd.urls[0] ?? "").port}`;
  const disk = await hostDisk({ base: `${kernel}.ext4`, directory, endpoint, guests: [AUTO, BY_HAND] });
  const uuid = "3b5d2f1c-9a07-4e6b-8d14-0c72e95fa836";
  const machine = stack.use(await LastingMachine.start({ disk, kernel, uuid, serial: "A-1" }));
  const { console } = machine;
  const first = await startOf(machine);

  await step(console, "its guests have their locks, and another host does not get them", async () => {
    assert.equal(await answerTo(machine, AUTO), "granted");
    await machine.sh(`systemctl start guest@${BY_HAND}`);
    assert.equal(await answerTo(machine, BY_HAND), "granted");
    for (const name of [AUTO, BY_HAND]) await isLocked(rival, name);
  });
  const had = await locks(etcd);

  // At once: nothing is written any more, and nobody is told.
  await machine.sh("(sleep 1; echo b >/proc/sysrq-trigger) >/dev/null 2>&1 &");
  const second = await untilStarted(machine, first);
  await step(console, "it is reset, and as a virtual machine keeps by default what it had", async () => {
    assert.match(await answerTo(machine, AUTO), new RegExp(`is locked by domain '${AUTO}'`));
    for (const name of [AUTO, BY_HAND]) await isLocked(rival, name);
    assert.match(
      await journal(machine),
      new RegExp(
        `earlier start of this host \\(boot ${first.boot}\\) has 2 locks .*: this is a virtual machine`,
      ),
    );
    assert.deepEqual(await locks(etcd), had);
  });

  await machine.sh(`echo 'cluster_trust_reboot = 2' >>${SETTINGS}; sync`);
  await machine.reset();
  const third = await untilStarted(machine, second);
  await step(console, "it is trusted and reset: the guest that starts with it runs", async () => {
    assert.equal(await answerTo(machine, AUTO), "granted");
    await isLocked(rival, AUTO);
    assert.notEqual((await locks(etcd))[AUTO], had[AUTO]);
    assert.match(
      await journal(machine),
      new RegExp(
        `its start before are gone: session ${
          had[AUTO]
        } .* fenced by the host itself, and 2 locks of it free`,
      ),
    );
    assert.match((await rival.command("hosts")).stdout, /fenced by the host itself after a reboot on kvm7/);
  });
  await step(console, "and what its other guest had is free for another host", async () => {
    await until(
      "the lock",
      async () => await rivalGets(rival, BY_HAND) === undefined,
      PATIENCE,
      EVERY,
    );
    await untilFree(etcd, BY_HAND);
  });

  const has = await locks(etcd);
  await step(
    console,
    "a copy of its disk in another machine frees nothing, when it is cut off itself",
    async () => {
      const copied = `${directory}/copy.ext4`;
      await machine.pause();
      await runOk(host, ["cp", "--sparse=always", disk, copied]);
      await machine.resume();
      await machine.cable(false);
      await until(
        "it not to be heard of",
        async () => {
          return (await etcd.keys(`/virtlockd/test/host/${third.machine}`)).size === 0;
        },
        PATIENCE,
        EVERY,
      );
      const uuid = "c81e7a42-5f3d-4b90-a6e8-71d40f2b9c55";
      await using copy = await LastingMachine.start({ disk: copied, kernel, uuid, serial: "B-2" });
      const { boot, machine: id } = await startOf(copy);
      assert.notEqual(boot, third.boot);
      assert.equal(id, third.machine);
      assert.match(await answerTo(copy, AUTO), new RegExp(`is locked by domain '${AUTO}'`));
      assert.match(
        await journal(copy),
        new RegExp(
          `earlier start of this host \\(boot ${third.boot}\\) has 1 lock .*: it was on another machine`,
        ),
      );
      await isLocked(rival, AUTO);
      assert.deepEqual(await locks(etcd), has);
      assert.equal((await machine.sh(`systemctl is-active guest@${AUTO}`)).trim(), "active");
    },
  );

  await step(console, "it goes on with its lock, which is given back when its guest ends", async () => {
    await machine.cable(true);
    await isLocked(rival, AUTO);
    assert.deepEqual(await locks(etcd), has);
    await machine.sh(`systemctl kill --signal=KILL guest@${AUTO}`);
    await untilFree(etcd, AUTO);
    assert.equal((await etcd.keys("/virtlockd/test/own/")).size, 0);
  });
});
