import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { refusal } from "../support/lock_refusal.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";

// cluster_trust_network_disks and the leases of guests whose disks are on the network, with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** Nobody waits long for a lease that its host does not give: it stays until a person says something. */
const IMPATIENT = "storage_timeout = 30\ncluster_wait = 1";

/** What a QEMU writes on this host: nothing, or a file without QEMU's own lock on it. */
type Disk = "none" | "here";

/** A process that does nothing, and is taken for a QEMU by its name. libvirtd asks for its leases. */
class PlayedQemu implements AsyncDisposable {
  readonly pid: number;
  readonly #process: TestProcess;
  readonly #libvirtd: LockClient;

  private constructor(process: TestProcess, libvirtd: LockClient) {
    this.pid = process.pid;
    this.#process = process;
    this.#libvirtd = libvirtd;
  }

  static async start({ place, daemon }: ClusterHost, disk: Disk): Promise<PlayedQemu> {
    // One for each: a program that runs is not written over.
    const program = Deno.makeTempFileSync({ dir: place.directory, prefix: "qemu-system-" });
    Deno.copyFileSync("/bin/sleep", program);
    const image = disk === "none" ? "" : ` 3>'${place.directory}/image'`;
    const command = place.command(["/bin/sh", "-c", `exec '${program}' infinity${image}`]);
    const process = new TestProcess(command, place.env, place.directory);
    // Before, it is a shell that the daemon would look at.
    await until("the guest's program", () => Deno.readLinkSync(`/proc/${process.pid}/exe`) === program);
    const libvirtd = await LockClient.connect(daemon.socket);
    await libvirtd.register(testOwner(process.pid));
    return new PlayedQemu(process, libvirtd);
  }

  /** Gets a lease, and is looked at by the daemon. */
  async lease(space: string, name: string): Promise<void> {
    await this.#libvirtd.acquire(space, name);
    // The daemon looks behind its answer, and before the next one.
    await this.#libvirtd.createLockspace(space);
  }

  async kill(): Promise<void> {
    await this.#process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#libvirtd[Symbol.asyncDispose]();
  }
}

/** Each lock of a host, with its state and the reason for that. */
async function locksOf({ daemon }: ClusterHost): Promise<(string | undefined)[][]> {
  const { stdout } = await daemon.command("locks", "--json");
  const locks: { resource: string; state: string; reason?: string }[] = JSON.parse(stdout);
  return locks.map(({ resource, state, reason }) => [resource, state, reason]);
}

/** Waits until a lease stays although its guest is gone, and it is known why. */
async function untilSettling(host: ClusterHost, name: string, why: string): Promise<void> {
  const expected = [
    name,
    "settling",
    `${why}; other hosts use the disk, so it stays until somebody says that nothing of that guest is written any ` +
    `more: virtlockd release ${host.space}/${name} --force --guest`,
  ];
  await until(`${name} to stay`, async () => {
    const found = (await locksOf(host)).find(([resource]) => resource === name) ?? [];
    return found.every((text, at) => text?.startsWith(expected[at] ?? "") === true) && found.length === 3;
  });
}

async function locksIn(etcd: Etcd): Promise<string[]> {
  return [...(await etcd.keys("/virtlockd/test/lock/")).keys()];
}

Deno.test("the lease of a guest without a disk here waits for a person, or goes where the storage is trusted", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b", { settings: IMPATIENT });
  for (const { space } of [a, b]) {
    for (const name of ["first", "second", "local"]) Deno.writeTextFileSync(`${space}/${name}`, "");
  }
  await using first = await PlayedQemu.start(a, "none");
  await using local = await PlayedQemu.start(a, "here");
  await using next = await Holder.start(b.daemon);
  await first.lease(a.space, "first");
  await local.lease(a.space, "local");
  await first.kill();
  await local.kill();
  const image = `it had ${a.place.directory}/image open for writing`;
  await untilSettling(a, "first", "no disk of it was seen");
  await untilSettling(a, "local", image);
  assert.match(await refusal(next.acquire(b.space, "first")), new RegExp(`pid ${first.pid}\\)`));
  a.place.writeConfig(`${Deno.readTextFileSync(a.place.paths.config)}cluster_trust_network_disks = 1\n`);
  a.daemon.signal("SIGHUP");
  await until("the lease to go", async () => (await locksIn(etcd)).length === 1);
  await next.acquire(b.space, "first");
  await using second = await PlayedQemu.start(a, "none");
  await second.lease(a.space, "second");
  assert.match(await refusal(next.acquire(b.space, "second")), new RegExp(`pid ${second.pid}\\)`));
  await second.kill();
  await until("it to go by itself", async () => {
    return !(await locksIn(etcd)).includes("/virtlockd/test/lock/scsi/second");
  });
  await next.acquire(b.space, "second");
  // A disk on this host is judged as before.
  await untilSettling(a, "local", image);
  assert.match(await refusal(next.acquire(b.space, "local")), new RegExp(`pid ${local.pid}\\)`));
});
