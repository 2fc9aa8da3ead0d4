import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { STAMP_OFFSET } from "../../src/chassis/journal/layout.ts";
import { F_WRLCK } from "../../src/os/constants.ts";
import type { JsonObjectValue } from "../../src/lockd/restart/state.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { kernel, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { NotifyListener } from "../support/notify_listener.ts";
import { Place } from "../support/place.ts";
import { Predecessor, writtenClient } from "../support/predecessor.ts";
import { Puppet } from "../support/puppet.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { until } from "../support/until.ts";

// The journal's file: a daemon that has a store goes on with the one that another has left, and has its own
// journal there.

const HELD = { mode: "exclusive", pid: -1 } as const;
const BOOT = STAMP_OFFSET + 16;

function journalOf(place: Place): string {
  return `${place.paths.journalDir}/journal`;
}

/** A holder with the lock `h`, whose daemon, which had no store, was killed. */
async function killedWithoutStore(place: Place, leases: string): Promise<Holder> {
  await using daemon = await Daemon.start({ place });
  await using client = await LockClient.connect(daemon.socket);
  await client.createLockspace(leases);
  const holder = await Holder.start(daemon);
  await holder.acquire(leases, "h", ACQUIRE_AUTOCREATE);
  await daemon.kill();
  return holder;
}

Deno.test("what a daemon without a store had is taken again by one with a store, and is safe from then on", async () => {
  const place = Place.create();
  const leases = place.makeDirectory("leases");
  await using holder = await killedWithoutStore(place, leases);
  assert.ok(existsSync(journalOf(place)));
  await using manager = await ServiceManager.start({ place });
  assert.deepEqual(lockOn(`${leases}/h`), HELD);
  assert.match(
    manager.log,
    new RegExp(
      `'h' of domain 'guest-${holder.pid}' .* ended with the daemon: it is taken again, but was free`,
    ),
  );
  assert.equal((await manager.stored()).includes("journal"), true);

  await manager.crash();
  assert.deepEqual(lockOn(`${leases}/h`), HELD);
  assert.equal(manager.log.match(/taken again/g)?.length, 1);
  assert.ok(holder.running);
  await holder.kill();
  await until("the lock to go with its holder", () => !existsSync(`${leases}/h`));
});

Deno.test("a file that is older than the journal in the store is void", async () => {
  const place = Place.create();
  const leases = place.makeDirectory("leases");
  await using holder = await killedWithoutStore(place, leases);
  const old = Deno.readFileSync(journalOf(place));
  await using manager = await ServiceManager.start({ place, args: ["-v"] });
  await using client = await LockClient.connect(manager.socket);
  await client.register({ ...testOwner(holder.pid), name: `guest-${holder.pid}` });
  await client.release(leases, "h");
  Deno.removeSync(journalOf(place));
  Deno.writeFileSync(journalOf(place), old);

  await manager.crash();
  assert.match(manager.log, /The journal .* is older than the one in the store: it is void/);
  assert.ok(!existsSync(`${leases}/h`));
  await until("the file to go", () => !existsSync(journalOf(place)));
});

Deno.test("a file that is newer than the journal in the store adds what only it knows", async () => {
  const place = Place.create();
  const leases = place.makeDirectory("leases");
  await using second = await killedWithoutStore(place, leases);
  // As if somebody had started that daemon by hand while the service was down.
  const newer = Deno.readFileSync(journalOf(place));
  new DataView(newer.buffer).setFloat64(STAMP_OFFSET, 1e15, true);
  Deno.removeSync(journalOf(place));
  await using manager = await ServiceManager.start({ place });
  await using first = await Holder.start(manager);
  await using client = await LockClient.connect(manager.socket);
  await client.createLockspace(leases);
  await first.acquire(leases, "stored", ACQUIRE_AUTOCREATE);
  await manager.kill();
  Deno.removeSync(journalOf(place));
  Deno.writeFileSync(journalOf(place), newer);

  await manager.start();
  assert.deepEqual([lockOn(`${leases}/stored`), lockOn(`${leases}/h`)], [HELD, HELD]);
  assert.match(manager.log, new RegExp(`'h' of domain 'guest-${second.pid}' .* taken again`));
  await until("the file to go", () => !existsSync(journalOf(place)));
  await manager.crash();
  assert.deepEqual([lockOn(`${leases}/stored`), lockOn(`${leases}/h`)], [HELD, HELD]);
  assert.ok(first.running && second.running);
});

for (const stored of [true, false]) {
  Deno.test(`a file of an earlier boot is void, ${stored ? "with" : "without"} a store`, async () => {
    const place = Place.create();
    const leases = place.makeDirectory("leases");
    await using _holder = await killedWithoutStore(place, leases);
    const bytes = Deno.readFileSync(journalOf(place));
    bytes[BOOT] = (bytes[BOOT] ?? 0) ^ 0xff;
    Deno.writeFileSync(journalOf(place), bytes);
    const said = /The journal .* is of an earlier boot of this host: it is void/;
    if (stored) {
      await using manager = await ServiceManager.start({ place, args: ["-v"] });
      assert.match(manager.log, said);
      assert.deepEqual(lockOn(`${leases}/h`), { mode: "none", pid: 0 });
    } else {
      await using daemon = await Daemon.start({ place, args: ["-v"] });
      await daemon.log.match(said);
      assert.deepEqual(lockOn(`${leases}/h`), { mode: "none", pid: 0 });
      await daemon.stop();
      place[Symbol.dispose]();
    }
  });
}

Deno.test("a file that cannot be read is said, and a new journal takes its place", async () => {
  const place = Place.create();
  Deno.mkdirSync(place.paths.journalDir, { recursive: true });
  Deno.writeTextFileSync(journalOf(place), "no journal at all");
  await using manager = await ServiceManager.start({ place });
  assert.match(manager.log, /The journal that an earlier daemon has left cannot be read: it has 17 bytes/);
  assert.ok(Deno.statSync(journalOf(place)).size > 100_000);
});

Deno.test("a file that another daemon uses is left alone, and the journal is in memory", async () => {
  const place = Place.create();
  const leases = place.makeDirectory("leases");
  await using _holder = await killedWithoutStore(place, leases);
  const fd = kernel.open(journalOf(place), 2, 0);
  assert.equal(kernel.ofdLock(fd, F_WRLCK, 0, 1), 0);
  await using manager = await ServiceManager.start({ place });
  assert.match(
    manager.log,
    /The journal is in memory alone, and would be lost if systemd dropped its copy: lock .*journal: Resource temporarily unav/,
  );
  assert.ok(existsSync(journalOf(place)));
  kernel.close(fd);
  await using _other = await stored(manager, place.makeDirectory("others"));
  await manager.crash();
  assert.deepEqual(lockOn(`${place.directory}/others/h`), HELD);
});

Deno.test("libvirt's daemon hands over to one with a store: that is filled, and a file that lies there is void", async () => {
  using place = Place.create();
  const leases = place.makeDirectory("leases");
  await using _holder = await killedWithoutStore(place, leases);
  for (const path of [place.paths.socket, place.paths.adminSocket]) Deno.removeSync(path);
  await using before = await Predecessor.start(place);
  using manager = new NotifyListener(`${place.directory}/notify`);
  // The lock of an owner that is dead would not be kept.
  await using guest = Puppet.start(place);
  const alpha = testOwner(guest.pid, "alpha");
  await using _client = await LockClient.connect(place.paths.socket);
  const clients = [writtenClient(1, await before.accept(), alpha)];
  const disk = await before.lock(`${place.directory}/disk`);
  const document: JsonObjectValue = {
    daemon: { servers: { admin: before.adminServer(), virtlockd: before.lockServer(clients) } },
    defaultLockspace: { resources: [{ ...disk, owners: [alpha.pid] }] },
    lockspaces: [],
  };
  await before.handOver(document, { NOTIFY_SOCKET: manager.address, VIRTLOCKD_FDSTORE_MAX: "100" });
  const stored: string[] = [];
  for (let said = ""; said !== "READY=1"; stored.push(said)) {
    said = await manager.next(/^(FDNAME=.*|READY=1)$/);
  }
  // The journal, the lock in a queue, and the client.
  for (const name of [/^FDNAME=journal$/, /^FDNAME=queue-/, /^FDNAME=B$/]) {
    assert.ok(stored.some((said) => name.test(said)), `${name} in ${stored.join(", ")}`);
  }
  assert.deepEqual(lockOn(disk.path), HELD);
  assert.deepEqual(lockOn(`${leases}/h`), { mode: "none", pid: 0 });
});

/** A holder with the lock `h` of a daemon with a store. */
async function stored(manager: ServiceManager, leases: string): Promise<Holder> {
  await using client = await LockClient.connect(manager.socket);
  await client.createLockspace(leases);
  const holder = await Holder.start(manager);
  await holder.acquire(leases, "h", ACQUIRE_AUTOCREATE);
  return holder;
}

/** What a daemon says that has found nothing in the store of what was there. */
function emptied(pid: number): RegExp {
  return new RegExp(`systemd no longer had what the last daemon gave it to keep: 1 lock of 'guest-${pid}'`);
}

Deno.test("a store that was emptied after kill -9 is said, and the locks are taken again", async () => {
  await using manager = await ServiceManager.start();
  const leases = manager.place.makeDirectory("leases");
  await using holder = await stored(manager, leases);
  await manager.kill();
  await manager.empty();
  assert.deepEqual(lockOn(`${leases}/h`), { mode: "none", pid: 0 });

  await manager.start();
  assert.deepEqual(lockOn(`${leases}/h`), HELD);
  assert.match(manager.log, emptied(holder.pid));
  assert.match(
    manager.log,
    new RegExp(
      `'h' of domain 'guest-${holder.pid}' .* ended with the daemon: it is taken again, but was free`,
    ),
  );
  assert.match(
    manager.log,
    new RegExp(
      `because the last daemon was killed or crashed. Took over 0 clients and 1 lock of the guest 'guest-${holder.pid}'`,
    ),
  );
  // It is safe from then on.
  await manager.crash();
  assert.deepEqual(lockOn(`${leases}/h`), HELD);
  assert.equal(manager.log.match(/no longer had/g)?.length, 1);
});

Deno.test("a lock of an emptied store that somebody else has got is named as lost", async () => {
  await using manager = await ServiceManager.start();
  const leases = manager.place.makeDirectory("leases");
  await using holder = await stored(manager, leases);
  await manager.kill();
  await manager.empty();
  const thief = kernel.open(`${leases}/h`, 2, 0);
  assert.equal(kernel.ofdLock(thief, F_WRLCK, 0, 1), 0);

  await manager.start();
  assert.match(manager.log, emptied(holder.pid));
  assert.match(
    manager.log,
    new RegExp(
      `'h' of domain 'guest-${holder.pid}' .*: somebody else holds it now; its guest runs unprotected`,
    ),
  );
  kernel.close(thief);
});

Deno.test("where the store has lost the journal, the file says whose the locks are", async () => {
  await using manager = await ServiceManager.start();
  const leases = manager.place.makeDirectory("leases");
  await using holder = await stored(manager, leases);
  await manager.kill();
  await manager.drop("journal");

  await manager.start();
  assert.deepEqual(lockOn(`${leases}/h`), HELD);
  assert.doesNotMatch(manager.log, /no longer had|taken again|in doubt/);
  assert.ok(holder.running);
  await holder.kill();
  await until("the lock to go with its holder", () => !existsSync(`${leases}/h`));
});

Deno.test("a restart keeps the journal in its file", async () => {
  await using manager = await ServiceManager.start();
  const leases = manager.place.makeDirectory("leases");
  await using _holder = await stored(manager, leases);
  await manager.restart();
  assert.ok(existsSync(journalOf(manager.place)));
  assert.deepEqual(lockOn(`${leases}/h`), HELD);
  assert.doesNotMatch(manager.log, /no longer had|taken again/);
});

Deno.test("a reload makes a journal's file again that was removed, and has it stored", async () => {
  await using manager = await ServiceManager.start();
  const leases = manager.place.makeDirectory("leases");
  await using holder = await stored(manager, leases);
  Deno.removeSync(journalOf(manager.place));
  await manager.reExec();
  assert.ok(existsSync(journalOf(manager.place)));

  await manager.crash();
  assert.deepEqual(lockOn(`${leases}/h`), HELD);
  await manager.kill();
  await manager.empty();
  await manager.start();
  assert.match(manager.log, emptied(holder.pid));
  assert.deepEqual(lockOn(`${leases}/h`), HELD);
});
