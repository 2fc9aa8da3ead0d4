import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { Daemon, programCommand } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { countLines } from "../support/re_exec.ts";
import { Place } from "../support/place.ts";
import { outcome } from "../support/refusal.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";
import { HangingMount } from "./support/hanging_mount.ts";

// The whole daemon, on a real FUSE filesystem that hangs. Needs root and /dev/fuse.

/** Seconds in which storage that is well answers, however busy the host. */
const AMPLE = 50;

/** From now on storage has so many seconds to answer. The daemon was started with `-v`. */
async function limit(daemon: Daemon, seconds: number): Promise<void> {
  const read = "Configuration read again";
  const before = countLines(daemon, read);
  daemon.place.writeConfig(`storage_timeout = ${seconds}\n`);
  daemon.signal("SIGHUP");
  await until("the daemon to read it", () => countLines(daemon, read) > before);
}

/** A daemon, and a lock directory on each of two filesystems that can hang. */
class Host implements AsyncDisposable {
  private constructor(
    readonly place: Place,
    readonly a: HangingMount,
    readonly b: HangingMount,
    readonly daemon: Daemon,
    readonly stack: AsyncDisposableStack,
  ) {}

  static async start(): Promise<Host> {
    const stack = new AsyncDisposableStack();
    try {
      const place = stack.use(Place.create());
      place.writeConfig(`storage_timeout = ${AMPLE}\n`);
      const a = stack.use(await HangingMount.mount(place.directory, "a"));
      const b = stack.use(await HangingMount.mount(place.directory, "b"));
      const daemon = stack.use(await Daemon.start({ place, args: ["-v"] }));
      return new Host(place, a, b, daemon, stack);
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
  }

  /** A client that is registered, and knows the lock directories. */
  async client(pid: number): Promise<LockClient> {
    const client = this.stack.use(await LockClient.connect(this.daemon.socket));
    await client.register(testOwner(pid));
    for (const path of [this.a.point, this.b.point]) await client.createLockspace(path);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A daemon with files on a filesystem that hangs cannot even end.
    await this.a.goOn();
    await this.b.goOn();
    await this.stack.disposeAsync();
  }
}

/** Whether a child of a process has been told to give a file. */
function waitsForItsFile(pid: number, path: string): boolean {
  const children = textOf(`/proc/${pid}/task/${pid}/children`).trim().split(" ");
  return children.some((child) => child !== "" && textOf(`/proc/${child}/cmdline`).includes(`\0${path}\0`));
}

/** A file of /proc; empty when its process is gone. */
function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

Deno.test("while one filesystem hangs, everybody else is served at once, and who asked for it is told", async () => {
  await using host = await Host.start();
  const [first, second] = [await host.client(5_000_001), await host.client(5_000_002)];
  const local = host.place.makeDirectory("local");
  await second.createLockspace(local);
  await first.acquire(host.a.point, "held", ACQUIRE_AUTOCREATE);
  // The helper has closed its own copy of that lock when it has done something else.
  await first.createResource(host.a.point, "other");
  await host.a.hang();

  let answered = false;
  const waiting = outcome(first.acquire(host.a.point, "waiting", ACQUIRE_AUTOCREATE)).finally(() =>
    answered = true
  );
  await host.a.untilHung("getattr");
  await second.acquire(local, "x", ACQUIRE_AUTOCREATE);
  await second.release(local, "x");
  // The first use of this filesystem: its helper starts while the daemon has files open on the one that
  // hangs.
  await second.acquire(host.b.point, "y", ACQUIRE_AUTOCREATE);
  await second.release(host.b.point, "y");
  assert.equal(answered, false);
  await host.a.goOn();
  assert.equal(await waiting, "");

  await limit(host.daemon, 1);
  await host.a.hang();
  assert.equal(
    await outcome(first.acquire(host.a.point, "late", ACQUIRE_AUTOCREATE)),
    `1/51 internal error: Unable to acquire lock on resource ${host.a.point}/late: ` +
      `storage at ${host.a.point} did not answer within 1 s`,
  );
  await limit(host.daemon, AMPLE);
  await host.a.goOn();
  await host.daemon.log.match(/warning : .*The lock on resource \S+\/late was released again/);
  assert.equal(existsSync(`${host.a.backing}/late`), false);
  await first.acquire(host.a.point, "late", ACQUIRE_AUTOCREATE);
  assert.match(
    await outcome(second.acquire(host.a.point, "held", ACQUIRE_AUTOCREATE)),
    /^87\/51 resource busy: Lockspace resource 'held' is locked by domain 'guest-5000001' /,
  );
});

Deno.test("a release on a filesystem that hangs is refused in time, and done when the filesystem answers", async () => {
  await using host = await Host.start();
  const client = await host.client(5_000_001);
  await client.acquire(host.a.point, "x", ACQUIRE_AUTOCREATE);
  await limit(host.daemon, 1);
  await host.a.hang("unlink");
  assert.match(
    await outcome(client.release(host.a.point, "x")),
    /^1\/51 internal error: Unable to release lock on resource \S+\/a\/x: storage at \S+\/a did not answer within 1 s$/,
  );
  assert.match(
    await outcome(client.acquire(host.a.point, "x", ACQUIRE_AUTOCREATE)),
    /^87\/51 resource busy: Lockspace resource 'x' is locked by domain 'guest-5000001'/,
  );
  await limit(host.daemon, AMPLE);
  await host.a.goOn();
  await until("the file to be unlinked", () => !existsSync(`${host.a.backing}/x`));
  await host.daemon.log.match(/info : .*Released resource 'x'/);
  await client.acquire(host.a.point, "x", ACQUIRE_AUTOCREATE);
});

Deno.test("the locks of a holder that ends while its storage hangs go when the storage answers", async () => {
  await using host = await Host.start();
  const client = await host.client(5_000_001);
  const disk = `${host.place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using holder = await Holder.start(host.daemon);
  await holder.acquire(host.a.point, "x", ACQUIRE_AUTOCREATE);
  await holder.acquire("", disk);
  // So long somebody waits for the lock of a guest that is gone.
  await limit(host.daemon, 1);
  await host.a.hang();
  await holder.kill();
  // What is local goes at once.
  await until("the disk to be free", () => isFree(disk));
  assert.match(
    await outcome(client.acquire(host.a.point, "x", ACQUIRE_AUTOCREATE)),
    new RegExp(`is locked by domain 'guest-${holder.pid}'`),
  );
  await host.a.goOn();
  await until("the file to be unlinked", () => !existsSync(`${host.a.backing}/x`));
});

Deno.test("a daemon is upgraded while its storage hangs, with its locks there kept", async () => {
  await using host = await Host.start();
  const client = await host.client(5_000_001);
  const { pid } = host.daemon;
  await client.acquire(host.a.point, "held", ACQUIRE_AUTOCREATE);
  await limit(host.daemon, 1);
  await host.a.hang();
  assert.match(
    await outcome(client.acquire(host.a.point, "late", ACQUIRE_AUTOCREATE)),
    /did not answer within 1 s$/,
  );
  await limit(host.daemon, AMPLE);
  host.daemon.signal("SIGUSR1");
  await host.daemon.log.match(/warning : .*Took over 1 client and 1 lock/);
  assert.equal(host.daemon.pid, pid);
  await client.acquire(host.b.point, "y", ACQUIRE_AUTOCREATE);
  await client.release(host.b.point, "y");
  await host.a.goOn();
  await until("the late lock to be undone", () => !existsSync(`${host.a.backing}/late`));
  assert.deepEqual(lockOn(`${host.a.point}/held`), { mode: "exclusive", pid: -1 });
  await client.release(host.a.point, "held");
  assert.equal(existsSync(`${host.a.backing}/held`), false);
});

Deno.test("an orderly end unlocks what a filesystem would keep locked for ever", async () => {
  using place = Place.create();
  await using mount = await HangingMount.mount(place.directory, "a", "filesystem");
  await using daemon = await Daemon.start({ place });
  await using client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(5_000_001));
  await client.createLockspace(mount.point);
  await client.acquire(mount.point, "lease", ACQUIRE_AUTOCREATE);
  assert.equal(lockOn(`${mount.point}/lease`).mode, "exclusive");
  assert.equal(await daemon.stop(), 0);
  // The file stays: the lock is only given up.
  assert.ok(existsSync(`${mount.point}/lease`));
  assert.deepEqual(lockOn(`${mount.point}/lease`), { mode: "none", pid: 0 });
});

Deno.test("an end does not wait longer than its time limit for a filesystem that hangs", async () => {
  using place = Place.create();
  place.writeConfig(`storage_timeout = ${AMPLE}\n`);
  await using mount = await HangingMount.mount(place.directory, "a", "filesystem");
  await using daemon = await Daemon.start({ place, args: ["-v"] });
  await using _ending = mount.ending();
  await using client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(5_000_001));
  const local = place.makeDirectory("local");
  for (const directory of [mount.point, local]) {
    await client.createLockspace(directory);
    await client.acquire(directory, "lease", ACQUIRE_AUTOCREATE);
  }
  await limit(daemon, 1);
  await mount.hang("lock");
  daemon.signal("SIGTERM");
  await daemon.log.match(/The lock on 'lease' could not be given up \(.* did not answer within 1 s\)/);
  assert.ok(isFree(`${local}/lease`));
  await mount.goOn();
});

Deno.test("without a store a hung filesystem keeps no daemon from starting, and its locks are taken as soon as it answers", async () => {
  using place = Place.create();
  place.writeConfig(`storage_timeout = ${AMPLE}\n`);
  await using mount = await HangingMount.mount(place.directory, "a");
  const local = place.makeDirectory("local");
  await using stack = new AsyncDisposableStack();
  const owned = await (async () => {
    await using daemon = await Daemon.start({ place });
    await using client = await LockClient.connect(daemon.socket);
    for (const directory of [mount.point, local]) await client.createLockspace(directory);
    const holder = stack.use(await Holder.start(daemon));
    for (const directory of [mount.point, local]) await holder.acquire(directory, "h", ACQUIRE_AUTOCREATE);
    await daemon.kill();
    return holder;
  })();
  await mount.hang();

  place.writeConfig("storage_timeout = 1\n");
  await using next = await Daemon.start({ place, args: ["-v"] });
  await using _ending = mount.ending();
  assert.equal(lockOn(`${local}/h`).mode, "exclusive");
  await using client = await LockClient.connect(next.socket);
  await client.register(testOwner(5_000_001));
  assert.match(await outcome(client.acquire(mount.point, "h")), /'h' is locked by domain 'guest-/);
  await next.log.match(
    /error : .*'h' of domain 'guest-\d+' .* could not be taken again yet: .* did not answer within 1 s; its guest runs/,
  );
  const { stdout } = await next.command("locks", "--json");
  assert.match(stdout, /"state": "awaited",\s*"reason": "storage at .* did not answer within 1 s"/);

  await limit(next, AMPLE);
  await mount.goOn();
  await until("the lock to be taken", () => lockOn(`${mount.point}/h`).mode === "exclusive");
  await owned.kill();
  await until("the file to go", () => !existsSync(`${mount.point}/h`));
});

Deno.test("without a store the lock of a guest that ended unwatched stays until its storage says what is written", async () => {
  using place = Place.create();
  await using mount = await HangingMount.mount(place.directory, "a");
  {
    await using daemon = await Daemon.start({ place });
    await using client = await LockClient.connect(daemon.socket);
    await client.createLockspace(mount.point);
    await using holder = await Holder.start(daemon);
    await holder.acquire(mount.point, "h", ACQUIRE_AUTOCREATE);
    await daemon.kill();
    await holder.kill();
  }
  await mount.hang();
  await using next = await Daemon.start({ place });
  await using _ending = mount.ending();
  await using client = await LockClient.connect(next.socket);
  await client.register(testOwner(5_000_001));
  assert.match(await outcome(client.acquire(mount.point, "h")), /'h' is locked by domain 'guest-/);
  await mount.goOn();
  await until("the file to go", () => !existsSync(`${mount.point}/h`));
  await client.acquire(mount.point, "h", ACQUIRE_AUTOCREATE);
  assert.equal(lockOn(`${mount.point}/h`).mode, "exclusive");
});

Deno.test("the lock that a killed daemon left on a filesystem that keeps locks is known for what it is", async () => {
  using place = Place.create();
  await using mount = await HangingMount.mount(place.directory, "a", "filesystem");
  await using stack = new AsyncDisposableStack();
  const owned = await (async () => {
    await using daemon = await Daemon.start({ place });
    await using client = await LockClient.connect(daemon.socket);
    await client.createLockspace(mount.point);
    const holder = stack.use(await Holder.start(daemon));
    await holder.acquire(mount.point, "h", ACQUIRE_AUTOCREATE);
    await daemon.kill();
    return holder;
  })();
  assert.equal(lockOn(`${mount.point}/h`).mode, "exclusive");
  await using next = await Daemon.start({ place });
  await next.log.match(
    /error : .*'h' of domain 'guest-\d+' .*: its FUSE file system still has a lock on it: the killed daemon's own/,
  );
  await owned.kill();
  await using client = await LockClient.connect(next.socket);
  await client.register(testOwner(5_000_001));
  let refused = "";
  await until("the owner's lock to go", async () => {
    refused = await outcome(client.acquire(mount.point, "h"));
    return !/is locked by domain/.test(refused);
  });
  // The lock file still says whose it was.
  assert.match(refused, /'h' is locked by its recorded holder: .*domain 'guest-\d+'/);
});

Deno.test("a start, a reload and a stop do not wait for a configuration whose storage hangs", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(Place.create());
  const mount = stack.use(await HangingMount.mount(place.directory, "conf"));
  stack.defer(() => mount.goOn());
  const config = `${mount.point}/virtlockd.conf`;
  Deno.writeTextFileSync(`${mount.backing}/virtlockd.conf`, "max_clients = 77\n");
  const args = ["--config", config];
  const silent = `Read configuration ${config}: ${mount.point} does not answer`;
  const disk = `${place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  const daemon = stack.use(await Daemon.start({ place, args }));
  const client = await LockClient.connect(daemon.socket);
  stack.defer(() => client.close());
  await client.register(testOwner(5_000_001));
  await client.acquire("", disk);

  await mount.hang();
  daemon.signal("SIGHUP");
  await daemon.log.match(
    new RegExp(
      `Configuration not taken over, the old settings stay: Read ${config}: ${mount.point} does not answer`,
    ),
  );
  assert.equal(lockOn(disk).mode, "exclusive");
  const reloaded = await daemon.command("reload");
  assert.equal(reloaded.code, 1);
  assert.match(
    reloaded.stderr,
    new RegExp(`Nothing was reloaded, .*: ${config} cannot be read: ${mount.point} does not`),
  );

  // With locks at stake it begins with what it knows.
  await daemon.kill();
  const next = stack.use(await Daemon.start({ place, args }));
  await next.log.match(new RegExp(`Started in spite of this: ${silent}`));
  assert.equal(lockOn(disk).mode, "exclusive");

  const empty = stack.use(Place.create());
  const { code, stderr } = await Daemon.run({ place: empty, args });
  assert.notEqual(code, 0);
  assert.match(stderr, new RegExp(`virtlockd: error: ${silent}`));
  // A stop is heard while it waits.
  const process = new TestProcess(
    empty.command(programCommand(...args)),
    { ...empty.env },
    empty.directory,
  );
  stack.use(process);
  await until("the start to wait", () => waitsForItsFile(process.pid, config));
  process.signal("SIGTERM");
  assert.equal((await process.wait()).signal, "SIGTERM");
});
