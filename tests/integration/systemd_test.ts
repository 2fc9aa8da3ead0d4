import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { ActivatedDaemon } from "../support/activated_daemon.ts";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon, isListening } from "../support/daemon.ts";
import { kernel } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { NotifyListener } from "../support/notify_listener.ts";
import { Place } from "../support/place.ts";
import { RawClient } from "../support/raw_client.ts";
import { until } from "../support/until.ts";

const NAMES = { LISTEN_FDNAMES: "virtlockd.socket:virtlockd-admin.socket" };

/** Checks that the two sockets are the lock server and the admin server. */
async function assertServed(lock: string, admin: string): Promise<void> {
  using client = RawClient.connect(lock);
  client.roundTrip();
  await using administrator = await AdminClient.connect(admin);
  assert.deepEqual((await administrator.listServers()).items, ["admin", "virtlockd"]);
}

Deno.test("sockets that are handed over by name are served, whatever their paths and order", async () => {
  using place = Place.create();
  const [one, two] = [`${place.directory}/one`, `${place.directory}/two`];
  const names = { LISTEN_FDNAMES: "virtlockd-admin.socket:virtlockd.socket" };
  using daemon = new ActivatedDaemon(place, [one, two], names);
  await assertServed(two, one);
  assert.ok(!existsSync(place.paths.socket) && !existsSync(place.paths.adminSocket));
  assert.equal(Deno.readTextFileSync(place.paths.pidFile), String(daemon.pid));
  assert.equal(await daemon.stop(), 0);
  // They are systemd's.
  assert.ok(existsSync(one) && existsSync(two));
});

Deno.test("sockets that are handed over without names are told apart by their paths", async () => {
  using place = Place.create();
  const [admin, lock] = [`${place.directory}/virtlockd-admin-sock`, `${place.directory}/virtlockd-sock`];
  using daemon = new ActivatedDaemon(place, [admin, lock]);
  await assertServed(lock, admin);
  assert.equal(await daemon.stop(), 0);
});

Deno.test("an admin socket that is not handed over is made", async () => {
  using place = Place.create();
  const lock = `${place.directory}/lock`;
  using daemon = new ActivatedDaemon(place, [lock], { LISTEN_FDNAMES: "virtlockd.socket" });
  await assertServed(lock, place.paths.adminSocket);
  assert.ok(!existsSync(place.paths.socket));
  assert.equal(await daemon.stop(), 0);
  assert.ok(existsSync(lock) && !existsSync(place.paths.adminSocket));
});

Deno.test("sockets that are meant for another process are left alone", async () => {
  using place = Place.create();
  const [one, two] = [`${place.directory}/one`, `${place.directory}/two`];
  using daemon = new ActivatedDaemon(place, [one, two], NAMES, "1");
  await until(
    "the daemon's own sockets",
    () => isListening(place.paths.socket) && isListening(place.paths.adminSocket),
  );
  await assertServed(place.paths.socket, place.paths.adminSocket);
  assert.equal(await daemon.stop(), 0);
});

Deno.test("sockets that were handed over go on over a re-exec, the variables do not", async () => {
  using place = Place.create();
  const [lock, admin] = [`${place.directory}/lock`, `${place.directory}/admin`];
  using daemon = new ActivatedDaemon(place, [lock, admin], NAMES);
  using client = RawClient.connect(lock);
  client.roundTrip();
  daemon.signal("SIGUSR1");
  await until("the re-exec", () => daemon.log.includes("Took over 1 client"));
  client.roundTrip();
  await assertServed(lock, admin);
  assert.doesNotMatch(Deno.readTextFileSync(`/proc/${daemon.pid}/environ`), /LISTEN_/);
  assert.equal(await daemon.stop(), 0);
  assert.ok(existsSync(lock) && existsSync(admin));
});

Deno.test("the service manager is told when the daemon serves, reloads and stops", async () => {
  using place = Place.create();
  using manager = new NotifyListener(`${place.directory}/notify`);
  await using daemon = await Daemon.start({ place, env: { NOTIFY_SOCKET: manager.address } });
  await manager.next(/^READY=1$/);
  await manager.next(new RegExp(`^MAINPID=${daemon.pid}$`));
  assert.equal(await manager.next(/^STATUS=/), "STATUS=0 clients, 0 locks");
  const before = kernel.monotonic() * 1000;
  daemon.signal("SIGHUP");
  await manager.next(/^RELOADING=1$/);
  const time = Number((await manager.next(/^MONOTONIC_USEC=/)).slice("MONOTONIC_USEC=".length));
  assert.ok(time >= before - 1 && time <= kernel.monotonic() * 1000, `${time}`);
  await manager.next(/^READY=1$/);
  daemon.signal("SIGTERM");
  await manager.next(/^STOPPING=1$/);
  assert.equal((await daemon.wait()).code, 0);
});

Deno.test("the service manager is told of a re-exec as of a reload", async () => {
  using place = Place.create();
  using manager = new NotifyListener(`@${crypto.randomUUID()}`);
  await using daemon = await Daemon.start({ place, env: { NOTIFY_SOCKET: manager.address } });
  await manager.next(/^READY=1$/);
  daemon.signal("SIGUSR1");
  await manager.next(/^RELOADING=1$/);
  await manager.next(/^MONOTONIC_USEC=\d+$/);
  await manager.next(/^READY=1$/);
  await manager.next(new RegExp(`^MAINPID=${daemon.pid}$`));
});

Deno.test("the service manager is told of clients and locks a while after they came", async () => {
  using place = Place.create();
  using manager = new NotifyListener(`${place.directory}/notify`);
  await using daemon = await Daemon.start({ place, env: { NOTIFY_SOCKET: manager.address } });
  await manager.next(/^READY=1$/);
  const disk = `${place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(5_000_001));
  await client.acquire("", disk);
  await manager.next(/^STATUS=1 client, 1 lock$/);
});

Deno.test("a service manager that cannot be reached is a warning", async () => {
  await using daemon = await Daemon.start({ env: { NOTIFY_SOCKET: "/nowhere/notify" } });
  await daemon.log.match(/warning : .*connect NOTIFY_SOCKET \/nowhere\/notify: No such file or directory/);
  using client = RawClient.connect(daemon.socket);
  client.roundTrip();
});
