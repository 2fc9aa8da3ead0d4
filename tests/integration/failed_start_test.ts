import assert from "node:assert/strict";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { SOCK_STREAM } from "../../src/os/constants.ts";
import { ActivatedDaemon } from "../support/activated_daemon.ts";
import { Daemon } from "../support/daemon.ts";
import { isFree, kernel } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { NotifyListener } from "../support/notify_listener.ts";
import { Place } from "../support/place.ts";
import { RawClient } from "../support/raw_client.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { until } from "../support/until.ts";
import { testProgram } from "../support/programs.ts";

const NAMES = { LISTEN_FDNAMES: "virtlockd.socket:virtlockd-admin.socket" };
const HOPELESS = 78;

/** Starts a daemon as a service without locks, with a client that waits for it; how it ended. */
async function startWith(
  place: Place,
  env: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<{ code: number; log: string; waiting: string }> {
  const paths = [`${place.directory}/lock`, `${place.directory}/admin`];
  using daemon = new ActivatedDaemon(place, paths, { ...NAMES, ...env }, "$$", args);
  const client = kernel.socket(SOCK_STREAM, false);
  assert.equal(kernel.connect(client, paths[0] ?? ""), 0);
  const code = await daemon.wait();
  const end = kernel.read(client, new Uint8Array(1));
  kernel.close(client);
  return { code, log: daemon.log, waiting: end === 0 ? "closed" : `read gave ${end}` };
}

/** Waits until a daemon serves: its start is over then. */
function served(socket: string): void {
  using client = RawClient.connect(socket);
  client.roundTrip();
}

Deno.test("a service that cannot start until it is mended closes what waits and ends with a status of its own", async () => {
  using place = Place.create();
  const config = place.paths.config;
  const cases: readonly { config?: string; env?: Record<string, string>; args?: string[]; says: RegExp }[] = [
    {
      config: 'max_clients = "five"\n',
      says: new RegExp(`error: ${config}:1: expected an integer from 1 .* got the string "five"`),
    },
    {
      config: 'log_outputs = "9:nowhere"\n',
      env: { LIBVIRT_LOG_OUTPUTS: "" },
      says: new RegExp(`error: ${config}:1: Invalid log_outputs: .*; expected LEVEL:stderr, `),
    },
    { args: ["-f", "/absent.conf"], says: /error: Read configuration: open \/absent.conf: No such file/ },
    { args: ["-f", "/dev/zero"], says: /error: Read configuration: read \/dev\/zero: File too large/ },
    { args: ["-d"], says: /error: Option "-d" is not for a service.*; correct VIRTLOCKD_ARGS in / },
    { args: ["--bogus"], says: /error: Unknown option "--bogus"; correct VIRTLOCKD_ARGS in / },
    { args: ["locks"], says: /error: Command "locks" is not for a daemon; correct VIRTLOCKD_ARGS in / },
    { args: ["--help"], says: /error: Option "--help" is not for a daemon; correct VIRTLOCKD_ARGS in / },
    {
      env: { LIBVIRT_LOG_OUTPUTS: "1:file:/absent/log" },
      says: /error: LIBVIRT_LOG_OUTPUTS: a log output cannot be opened: open \/absent\/log: No such file/,
    },
    {
      config: '\nlog_outputs = "1:file:/absent/log"\n',
      env: { LIBVIRT_LOG_OUTPUTS: "" },
      says: new RegExp(`error: ${config}:2: a log output cannot be opened: open /absent/log: No such file`),
    },
    { args: ["-p", "/absent/pid"], says: /error: Open PID file \/absent\/pid: No such file/ },
  ];
  for (const { config = "", env = {}, args = [], says } of cases) {
    place.writeConfig(config);
    const { code, log, waiting } = await startWith(place, env, args);
    assert.match(log, says);
    assert.deepEqual({ code, waiting }, { code: HOPELESS, waiting: "closed" }, log);
    for (const name of ["lock", "admin"]) Deno.removeSync(`${place.directory}/${name}`);
  }
});

Deno.test("the service manager is told why a service does not start", async () => {
  using place = Place.create();
  using manager = new NotifyListener(`${place.directory}/notify`);
  place.writeConfig("max_clients = 0\n");
  const { code } = await startWith(place, { NOTIFY_SOCKET: manager.address }, []);
  assert.equal(code, HOPELESS);
  assert.equal(
    await manager.next(/^STATUS=/),
    `STATUS=Cannot start until this is mended: ${place.paths.config}:1: expected an integer from 1 to ` +
      '4294967295 for "max_clients", got 0',
  );
});

Deno.test("a start that may succeed later is tried again after a pause that grows, and what waits goes on waiting", async () => {
  using place = Place.create();
  await using other = await Daemon.start({ place });
  served(other.socket);
  using manager = new NotifyListener(`${place.directory}/notify`);
  const statuses: string[] = [];
  for (const name of ["first", "second"]) {
    using daemon = new ActivatedDaemon(place, [`${place.directory}/${name}`], {
      LISTEN_FDNAMES: "virtlockd.socket",
      NOTIFY_SOCKET: manager.address,
    });
    assert.equal(await daemon.wait(), 1);
    statuses.push(await manager.next(/^STATUS=/));
  }
  const why = `Lock PID file ${place.paths.pidFile}: another virtlockd (pid ${other.pid}) has it`;
  assert.deepEqual(statuses, [
    `STATUS=Cannot start yet, trying again in 0.1 s: ${why}`,
    `STATUS=Cannot start yet, trying again in 0.2 s: ${why}`,
  ]);
  await other.stop();
  using daemon = new ActivatedDaemon(place, [`${place.directory}/third`], {
    LISTEN_FDNAMES: "virtlockd.socket",
  });
  served(`${place.directory}/third`);
  assert.equal(await daemon.stop(), 0);
  assert.ok(kernel.access(place.paths.startFailures, 0) < 0);
});

Deno.test("a start that waits before it is tried again ends at once when it is stopped", async () => {
  using place = Place.create();
  await using other = await Daemon.start({ place });
  served(other.socket);
  using manager = new NotifyListener(`${place.directory}/notify`);
  // It has failed so often that the pause is the longest.
  Deno.writeTextFileSync(place.paths.startFailures, `20 ${Math.floor(kernel.monotonic())}`);
  using daemon = new ActivatedDaemon(place, [`${place.directory}/lock`], {
    LISTEN_FDNAMES: "virtlockd.socket",
    NOTIFY_SOCKET: manager.address,
  });
  assert.match(await manager.next(/^STATUS=/), /^STATUS=Cannot start yet, trying again in 30 s: /);
  assert.equal(await daemon.stop(), 128 + 15);
});

Deno.test("with locks in the store the daemon starts with what works, whatever is wrong", async () => {
  await using manager = await ServiceManager.start();
  const { place } = manager;
  const leases = place.makeDirectory("leases");
  await using client = await LockClient.connect(manager.socket);
  await client.register(testOwner(5_000_001));
  await client.createLockspace(leases);
  await client.acquire(leases, "r", ACQUIRE_AUTOCREATE);
  place.writeConfig('max_clients = "five"\nlog_outputs = "9:nowhere"\nadmin_max_clients = 7\nbroken\n');
  await manager.crash();
  assert.equal(isFree(`${leases}/r`), false);
  await client.acquire(leases, "s", ACQUIRE_AUTOCREATE);
  for (
    const complaint of [
      /error : .*Started in spite of this: .*virtlockd.conf:1: expected an integer .*"max_clients"/,
      /error : .*Started in spite of this: .*virtlockd.conf:4: expected "=" after the key "broken"/,
    ]
  ) assert.match(manager.log, complaint);
});

/** A daemon without a store is killed that had locked a lease for a guest that lives. @returns its file */
async function leaseOfKilledDaemon(place: Place): Promise<string> {
  const leases = place.makeDirectory("leases");
  await using daemon = await Daemon.start({ place });
  await using client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(Deno.pid));
  await client.createLockspace(leases);
  await client.acquire(leases, "r", ACQUIRE_AUTOCREATE);
  await daemon.kill();
  return `${leases}/r`;
}

Deno.test("with locks in a journal's file the daemon starts in spite of wrong arguments", async () => {
  using place = Place.create();
  const lease = await leaseOfKilledDaemon(place);
  assert.equal(isFree(lease), true);
  await using next = await Daemon.start({ place, args: ["--bogus", "-t", "soon", "-v"] });
  assert.equal(isFree(lease), false);
  await next.log.match(/error : .*Started in spite of this: Unknown option "--bogus"; it is left out/);
  // It goes on with what was understood.
  next.signal("SIGUSR1");
  await next.log.match(/goes on after a reload/);
  assert.equal(isFree(lease), false);
});

Deno.test("with locks a service that is told to go into the background stays where the service manager sees it", async () => {
  using place = Place.create();
  const lease = await leaseOfKilledDaemon(place);
  const paths = [`${place.directory}/lock`, `${place.directory}/admin`];
  using next = new ActivatedDaemon(place, paths, NAMES, "$$", ["-d"]);
  served(`${place.directory}/lock`);
  assert.equal(isFree(lease), false);
  assert.match(
    next.log,
    /error : .*Started in spite of this: Option "-d" is not for a service.*; it is left out/,
  );
  assert.equal(await next.stop(), 0);
});

Deno.test("a start that fails when it has begun to record leaves no lock of a guest that is gone", async () => {
  await using manager = await ServiceManager.start({
    entry: testProgram(new URL("../support/failing_once_main.ts", import.meta.url)),
  });
  const { place } = manager;
  const leases = place.makeDirectory("leases");
  // Of a process that is connected itself its connection would tell.
  const guest = new Deno.Command("/bin/sleep", { args: ["1000"] }).spawn();
  {
    await using client = await LockClient.connect(manager.socket);
    await client.register(testOwner(guest.pid));
    await client.createLockspace(leases);
    await client.acquire(leases, "r", ACQUIRE_AUTOCREATE);
  }
  await manager.kill();
  guest.kill();
  await guest.status;
  Deno.writeTextFileSync(`${place.directory}/fail-once`, "");
  await manager.start();
  assert.match(manager.log, /this start was to fail/);
  await until("the lock to go", () => isFree(`${leases}/r`));
  assert.deepEqual(JSON.parse((await manager.command("locks", "--json")).stdout), []);
});
