import assert from "node:assert/strict";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { reExec } from "../support/re_exec.ts";
import { assertRefused } from "../support/refusal.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";

const EXCLUSIVE = { mode: "exclusive", pid: -1 };
/**
 * The process is the only one of a pid namespace, where it has number 1; it ends when the one that started it
 * does.
 */
const OWN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--"];

function makeDisk({ directory }: Place, name = "disk"): string {
  const path = `${directory}/${name}`;
  Deno.writeTextFileSync(path, "");
  return path;
}

/** A guest's process that has no connection to the daemon. */
function startGuest({ env, directory }: Place): TestProcess {
  return new TestProcess(["/bin/sleep", "1000"], env, directory);
}

/** libvirtd's way: a lock for another process, over a connection that is closed at once. */
async function lockFor(socket: string, disk: string, owner: ReturnType<typeof testOwner>): Promise<void> {
  await using libvirtd = await LockClient.connect(socket);
  await libvirtd.register(owner);
  await libvirtd.acquire("", disk);
}

Deno.test("a lock that was taken for a process without a connection goes when that process ends", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  const disk = makeDisk(daemon.place);
  await using guest = startGuest(daemon.place);
  await lockFor(daemon.socket, disk, testOwner(guest.pid));
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
  await guest.kill();
  await until("the lock to be freed", () => isFree(disk));
  await daemon.log.match(
    new RegExp(`info : .*The process of .*, pid ${guest.pid}\\) has ended: releasing 1 resource`),
  );
  await lockFor(daemon.socket, disk, testOwner(5_000_001));
});

Deno.test("a process that has ended gets no lock, also between two of its locks", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  const [first, second] = [makeDisk(daemon.place), makeDisk(daemon.place, "second")];
  await using guest = startGuest(daemon.place);
  await using libvirtd = await LockClient.connect(daemon.socket);
  await libvirtd.register(testOwner(guest.pid));
  await libvirtd.acquire("", first);
  await guest.kill();
  await until("the lock to be freed", () => isFree(first));
  const refusal = new RegExp(`Resource ${second} is not locked for process ${guest.pid}, which has ended`);
  await assertRefused(libvirtd.acquire("", second), refusal);
  await using other = await LockClient.connect(daemon.socket);
  await other.register(testOwner(guest.pid));
  await assertRefused(other.acquire("", second), refusal);
  assert.equal(isFree(second), true);
});

Deno.test("an owner without a connection is watched on after a re-exec", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  const disk = makeDisk(daemon.place);
  await using guest = startGuest(daemon.place);
  await lockFor(daemon.socket, disk, testOwner(guest.pid));
  for (let round = 0; round < 2; round++) {
    await reExec(daemon, () => assert.deepEqual(lockOn(disk), EXCLUSIVE));
  }
  await guest.kill();
  await until("the lock to be freed", () => isFree(disk));
});

Deno.test("an owner without a connection is watched on by the daemon that follows a killed one", async () => {
  using place = Place.create();
  const [disk, other] = [makeDisk(place), makeDisk(place, "other")];
  await using guest = startGuest(place);
  await using dead = startGuest(place);
  {
    await using daemon = await Daemon.start({ place });
    await lockFor(daemon.socket, disk, testOwner(guest.pid));
    await lockFor(daemon.socket, other, testOwner(dead.pid));
    await daemon.kill();
  }
  await dead.kill();
  await using next = await Daemon.start({ place, args: ["-v"] });
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
  await next.log.match(new RegExp(`The process of .*, pid ${dead.pid}\\) has ended: releasing 1 resource`));
  await until("the dead owner's lock to be freed", () => isFree(other));
  await guest.kill();
  await until("the lock to be freed", () => isFree(disk));
});

Deno.test("a holder that is killed loses its locks though a child of it has its socket still", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  const disk = makeDisk(daemon.place);
  await using holder = await Holder.start(daemon);
  const child = await holder.fork();
  await using libvirtd = await LockClient.connect(daemon.socket);
  await libvirtd.register(holder.owner);
  await libvirtd.acquire("", disk);
  await using admin = await AdminClient.connect(daemon.adminSocket);
  const clients = async () => (await admin.listClients("virtlockd")).items.length;
  assert.equal(await clients(), 2);
  await holder.kill();
  await until("the lock to be freed", () => isFree(disk));
  // Nobody may ask for anything in a dead owner's name.
  assert.equal(await clients(), 1);
  assert.ok(Deno.readTextFileSync(`/proc/${child}/comm`).startsWith("sleep"));
  Deno.kill(child, "SIGKILL");
});

Deno.test("a holder in a pid namespace of its own is known by its own connection, whoever asks", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  const disk = makeDisk(daemon.place);
  await using holder = await Holder.start(daemon, OWN_NAMESPACE);
  assert.equal(holder.owner.pid, 1);
  await holder.acquire("", disk);
  await using stranger = await LockClient.connect(daemon.socket);
  // A process of the daemon's own namespace means another process by this number, and may be another guest.
  await stranger.register({ ...holder.owner, uuid: testOwner(77).uuid });
  await assertRefused(stranger.release("", disk), /^1\/51 .*owner 1 does not hold the resource lock/);
  for (let round = 0; round < 2; round++) {
    await reExec(daemon, () => assert.deepEqual(lockOn(disk), EXCLUSIVE));
  }
  await holder.kill();
  await until("the lock to be freed", () => isFree(disk));
});

Deno.test("a holder in a pid namespace of its own outlives a killed daemon with its lock, and loses it when it ends", async () => {
  using place = Place.create();
  const disk = makeDisk(place);
  await using daemon = await Daemon.start({ place });
  await using holder = await Holder.start(daemon, OWN_NAMESPACE);
  await holder.acquire("", disk);
  await daemon.kill();
  await using _next = await Daemon.start({ place });
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
  await holder.kill();
  await until("the lock to be freed", () => isFree(disk));
});

Deno.test("an owner without a process keeps its lock over a crash, and that is reported and listed", async () => {
  using place = Place.create();
  const disk = makeDisk(place);
  const xen = testOwner(0, "xen");
  {
    await using daemon = await Daemon.start({ place });
    await lockFor(daemon.socket, disk, { ...xen, id: 3 });
    await daemon.kill();
  }
  await using next = await Daemon.start({ place });
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
  await next.log.match(/warning : .*Took over 0 clients and 1 lock of the guest .xen./);
  await next.log.match(
    /warning : .*of domain 'xen' .*, pid 0\) is kept: nothing tells whether its process still runs/,
  );
  const { stdout } = await next.command("locks", "--json");
  assert.deepEqual(JSON.parse(stdout).map(({ resource }: { resource: string }) => resource), [disk]);
  await using client = await LockClient.connect(next.socket);
  await client.register({ ...testOwner(0, "other"), uuid: testOwner(99).uuid, id: 4 });
  await assertRefused(client.acquire("", disk), /^87\/51 .* is locked by domain 'xen'/);
  await assertRefused(
    client.release("", disk),
    /^1\/51 .*owner 0 does not hold the resource lock, but domain 'xen' .* with the same process id/,
  );
  await client.register({ ...xen, id: 3 });
  await client.release("", disk);
  assert.ok(isFree(disk));
});
