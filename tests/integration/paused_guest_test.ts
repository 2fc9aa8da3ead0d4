import assert from "node:assert/strict";
import { ACQUIRE_SHARED } from "../../src/lockd/wire/lock_protocol.ts";
import { O_RDWR } from "../../src/os/constants.ts";
import { Daemon } from "../support/daemon.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { Puppet } from "../support/puppet.ts";
import { countLines, reExec } from "../support/re_exec.ts";
import { assertRefused } from "../support/refusal.ts";
import { until } from "../support/until.ts";

const EXCLUSIVE = { mode: "exclusive", pid: -1 };
const BUSY = /^87\/51 .* is locked by domain/;

/** A guest's process, which opens its disks, and the way in which libvirtd asks for it. */
class Guest implements AsyncDisposable {
  readonly #puppet: Puppet;
  readonly #open = new Map<string, number>();

  constructor(place: Place) {
    this.#puppet = Puppet.start(place);
  }

  get owner() {
    return testOwner(this.#puppet.pid);
  }

  async open(...disks: readonly string[]): Promise<void> {
    for (const disk of disks) this.#open.set(disk, await this.#puppet.call("open", disk, O_RDWR, 0));
  }

  async close(disk: string): Promise<void> {
    await this.#puppet.call("close", this.#open.get(disk));
  }

  /** Asks for locks one after the other, over a connection of their own, until one is refused. */
  async acquire({ socket }: Daemon, ...disks: readonly string[]): Promise<void> {
    await using libvirtd = await LockClient.connect(socket);
    await libvirtd.register(this.owner);
    for (const disk of disks) await libvirtd.acquire("", disk);
  }

  async release({ socket }: Daemon, ...disks: readonly string[]): Promise<void> {
    await using libvirtd = await LockClient.connect(socket);
    await libvirtd.register(this.owner);
    for (const disk of disks) await libvirtd.release("", disk);
  }

  async end(): Promise<void> {
    await this.#puppet[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

function makeDisk({ directory }: Place, name: string): string {
  const path = `${directory}/${name}`;
  Deno.writeTextFileSync(path, "");
  return path;
}

Deno.test("a guest whose resume was refused half way gets the lock that it kept when it is resumed again", async () => {
  using place = Place.createShared();
  await using daemon = await Daemon.start({ place, args: ["-v"] });
  const [first, second] = [makeDisk(daemon.place, "first"), makeDisk(daemon.place, "second")];
  await using guest = new Guest(daemon.place);
  await using other = new Guest(daemon.place);
  await guest.open(first, second);
  await guest.acquire(daemon, first, second);
  await guest.release(daemon, first, second);
  await using holder = await LockClient.connect(daemon.socket);
  await holder.register(other.owner);
  await holder.acquire("", second, ACQUIRE_SHARED);
  await assertRefused(guest.acquire(daemon, first, second), BUSY);
  await holder.release("", second);
  await reExec(daemon);
  await guest.acquire(daemon, first, second);
  await assertRefused(guest.acquire(daemon, first), BUSY);
  await guest.release(daemon, first, second);
  assert.ok(isFree(first) && isFree(second));
});

Deno.test("a disk that was attached to a paused guest does not keep it from being resumed", async () => {
  using place = Place.createShared();
  await using daemon = await Daemon.start({ place, args: ["-v"] });
  const [disk, attached] = [makeDisk(daemon.place, "disk"), makeDisk(daemon.place, "attached")];
  await using guest = new Guest(daemon.place);
  await guest.open(disk);
  await guest.acquire(daemon, disk);
  await guest.release(daemon, disk);
  await guest.acquire(daemon, attached);
  await guest.open(attached);
  await reExec(daemon);
  await guest.acquire(daemon, disk, attached);
  await guest.release(daemon, disk, attached);
});

Deno.test("an image that a running guest has is not attached to it again, nor unlocked by the attempt", async () => {
  using place = Place.createShared();
  await using daemon = await Daemon.start({ place, args: ["-v"] });
  const disk = makeDisk(daemon.place, "disk");
  await using guest = new Guest(daemon.place);
  await guest.open(disk);
  await guest.acquire(daemon, disk);
  await assertRefused(guest.acquire(daemon, disk), BUSY);
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
  // What it has closed, as after a commit that was cancelled, it gets again.
  await guest.close(disk);
  await guest.acquire(daemon, disk);
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
});

Deno.test("the same image twice in one guest is refused, and its first lock stays while the process lives", async () => {
  using place = Place.createShared();
  await using daemon = await Daemon.start({ place, args: ["-v"] });
  const disk = makeDisk(daemon.place, "disk");
  await using guest = new Guest(daemon.place);
  await guest.open(disk);
  await assertRefused(guest.acquire(daemon, disk, disk), BUSY);
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
});

for (const [how, restart] of [["a re-exec", "re-exec"], ["a crash", "crash"]] as const) {
  Deno.test(`a paused guest whose disk another one has used is not resumed, also after ${how}`, async () => {
    using place = Place.createShared();
    const disk = makeDisk(place, "disk");
    await using guest = new Guest(place);
    await guest.open(disk);
    let daemon = await Daemon.start({ place, args: ["-v"] });
    try {
      await guest.acquire(daemon, disk);
      await guest.release(daemon, disk);
      await using other = new Guest(place);
      await other.acquire(daemon, disk);
      if (restart === "re-exec") {
        await reExec(daemon);
      } else {
        await daemon.kill();
        daemon = await Daemon.start({ place, args: ["-v"] });
      }
      await assertRefused(guest.acquire(daemon, disk), BUSY);
      await other.end();
      const used = new RegExp(
        `^87/51 .* was in use by domain '${other.owner.name}' .* since 20.* while domain '${guest.owner.name}' .* was ` +
          "paused, whose guest would overwrite it with what it remembers: destroy that and start it anew",
      );
      await assertRefused(guest.acquire(daemon, disk), used);
      place.writeConfig('stale_resume_guests = [ "somebody-else" ]\n');
      daemon.signal("SIGHUP");
      await daemon.log.match(/Configuration read again/);
      await assertRefused(guest.acquire(daemon, disk), used);
      place.writeConfig(`stale_resume_guests = [ "${guest.owner.name}" ]\n`);
      daemon.signal("SIGHUP");
      await until("the second reload", () => countLines(daemon, "Configuration read again") === 2);
      await guest.acquire(daemon, disk);
    } finally {
      await daemon.kill();
    }
  });
}

Deno.test("a disk that was detached, used by another guest and attached again is granted", async () => {
  using place = Place.createShared();
  await using daemon = await Daemon.start({ place, args: ["-v"] });
  const disk = makeDisk(daemon.place, "disk");
  await using guest = new Guest(daemon.place);
  await guest.open(disk);
  await guest.acquire(daemon, disk);
  await guest.close(disk);
  await guest.release(daemon, disk);
  {
    await using other = new Guest(daemon.place);
    await other.acquire(daemon, disk);
    await other.release(daemon, disk);
  }
  await guest.acquire(daemon, disk);
  assert.deepEqual(lockOn(disk), EXCLUSIVE);
});
