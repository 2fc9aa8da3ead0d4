import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { journalSocket, logsByItself } from "../support/journal.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { NotifyListener } from "../support/notify_listener.ts";
import { Place } from "../support/place.ts";
import { RawClient } from "../support/raw_client.ts";
import { until } from "../support/until.ts";

function mode(path: string): number {
  return (Deno.lstatSync(path).mode ?? 0) & 0o7777;
}

/** The daemon that runs in the background of a place. */
function backgroundPid(place: Place): number {
  return Number(Deno.readTextFileSync(place.paths.pidFile));
}

async function endBackground(place: Place): Promise<void> {
  const pid = backgroundPid(place);
  Deno.kill(pid, "SIGTERM");
  await until("the daemon to end", () => !existsSync(place.paths.pidFile));
}

Deno.test("--version tells name and version on standard output", async () => {
  for (const option of ["--version", "-V"]) {
    const { code, stdout } = await Daemon.run({ args: [option] });
    assert.equal(code, 0);
    assert.match(stdout, /^virtlockd \(deno-virtlockd\) \d+\.\d+\.\d+\n$/);
  }
});

Deno.test("--help tells the options and this user's paths on standard output", async () => {
  using place = Place.create();
  for (const option of ["--help", "-h"]) {
    const { code, stdout, stderr } = await Daemon.run({ args: [option], place });
    assert.deepEqual([code, stderr], [0, ""]);
    for (const text of ["--daemon", "--config", "--timeout", "--pid-file", "--verbose", place.paths.socket]) {
      assert.ok(stdout.includes(text), text);
    }
  }
});

const WRONG: Record<string, readonly [args: readonly string[], message: RegExp]> = {
  "an unknown option": [["--bogus"], /"?--bogus"?/],
  "an unknown short option": [["-z"], /-z/],
  "a missing value": [["-t"], /-t/],
  "a stray argument": [["stray"], /stray/],
  "a timeout that is no number": [["-t", "5x"], /5x/],
  "a timeout over the limit": [["--timeout=2147484"], /2147484/],
  "a value for an option without one": [["--daemon=yes"], /--daemon/],
};
for (const [name, [args, message]] of Object.entries(WRONG)) {
  Deno.test(`a command line with ${name} is refused in one line`, async () => {
    const { code, stdout, stderr } = await Daemon.run({ args });
    assert.deepEqual([code, stdout], [1, ""]);
    const [line = "", hint = "", ...more] = stderr.trimEnd().split("\n");
    assert.match(line, /^virtlockd: error: /);
    assert.match(line, message);
    assert.match(hint, /--help/);
    assert.deepEqual(more, []);
  });
}

Deno.test("a daemon makes its files with the right modes and removes them at its end", async () => {
  await using daemon = await Daemon.start();
  const { paths } = daemon.place;
  assert.equal(mode(paths.socket), 0o700);
  assert.equal(mode(paths.adminSocket), 0o700);
  assert.equal(mode(paths.pidFile), 0o644);
  assert.equal(mode(`${daemon.place.directory}/run/libvirt`), 0o700);
  assert.equal(Deno.readTextFileSync(paths.pidFile), String(daemon.pid));
  assert.deepEqual(lockOn(paths.pidFile), { mode: "exclusive", pid: -1 });
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual([paths.socket, paths.adminSocket, paths.pidFile].filter(existsSync), []);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) {
  Deno.test(`${signal} ends the daemon with code 0`, async () => {
    await using daemon = await Daemon.start();
    using client = RawClient.connect(daemon.socket);
    client.roundTrip();
    daemon.signal(signal);
    assert.deepEqual(await daemon.wait(), { code: 0, signal: null });
    client.untilClosed();
    assert.ok(!existsSync(daemon.socket));
  });
}

Deno.test("a daemon that is stopped with locks warns how many and for whom", async () => {
  await using daemon = await Daemon.start();
  await using client = await LockClient.connect(daemon.socket);
  for (const [pid, name] of [[5_000_001, "alpha"], [5_000_002, "beta"]] as const) {
    await client.register(testOwner(pid, name));
    const disk = `${daemon.place.directory}/${name}`;
    Deno.writeTextFileSync(disk, "");
    await client.acquire("", disk);
  }
  assert.equal(await daemon.stop(), 0);
  assert.equal(
    daemon.log.text.match(
      /warning : .*Stopping with 2 locks held of the guests 'alpha', 'beta': they are given up now, and nothing protects these disks until the next daemon, which/,
    )?.length,
    1,
  );
  assert.ok(isFree(`${daemon.place.directory}/alpha`));
});

Deno.test("SIGPIPE does nothing", async () => {
  await using daemon = await Daemon.start();
  daemon.signal("SIGPIPE");
  using client = RawClient.connect(daemon.socket);
  client.roundTrip();
});

Deno.test("a second daemon is refused and does not harm the first", async () => {
  await using daemon = await Daemon.start();
  for (const args of [[], ["-d"]]) {
    const { code, stderr } = await Daemon.run({ place: daemon.place, args });
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `virtlockd: error: Lock PID file ${daemon.place.paths.pidFile}: another virtlockd (pid ${daemon.pid}) has it\n`,
    );
  }
  using client = RawClient.connect(daemon.socket);
  client.roundTrip();
  assert.equal(Deno.readTextFileSync(daemon.place.paths.pidFile), String(daemon.pid));
});

Deno.test("a second daemon with a PID file of its own does not take the sockets of the first", async () => {
  await using daemon = await Daemon.start();
  const { code, stderr } = await Daemon.run({ place: daemon.place, args: ["-p", "other.pid"] });
  assert.equal(code, 6);
  assert.equal(stderr, `virtlockd: error: Bind socket ${daemon.socket}: another daemon listens there\n`);
  using client = RawClient.connect(daemon.socket);
  client.roundTrip();
  assert.ok(!existsSync(`${daemon.place.directory}/other.pid`));
});

Deno.test("a daemon replaces what a killed one has left behind", async () => {
  using place = Place.create();
  {
    await using killed = await Daemon.start({ place });
    await killed.kill();
  }
  assert.ok(existsSync(place.paths.socket));
  await using daemon = await Daemon.start({ place });
  using client = RawClient.connect(daemon.socket);
  client.roundTrip();
  assert.equal(Deno.readTextFileSync(place.paths.pidFile), String(daemon.pid));
});

Deno.test("a daemon rewrites a PID file with anything in it", async () => {
  using place = Place.create();
  Deno.mkdirSync(`${place.directory}/run/libvirt`);
  Deno.writeTextFileSync(place.paths.pidFile, "not a number at all, and much too long", { mode: 0o600 });
  await using daemon = await Daemon.start({ place });
  assert.equal(Deno.readTextFileSync(place.paths.pidFile), String(daemon.pid));
});

Deno.test("a daemon does not follow a symbolic link that was planted as its PID file", async () => {
  using place = Place.create();
  Deno.mkdirSync(`${place.directory}/run/libvirt`);
  const victim = `${place.directory}/victim`;
  Deno.writeTextFileSync(victim, "precious");
  Deno.symlinkSync(victim, place.paths.pidFile);
  const { code, stderr } = await Daemon.run({ place });
  assert.equal(code, 1);
  assert.equal(stderr, `virtlockd: error: Open PID file ${place.paths.pidFile}: it is a symbolic link\n`);
  assert.equal(Deno.readTextFileSync(victim), "precious");
});

Deno.test("a daemon replaces symbolic links that were planted as its sockets", async () => {
  using place = Place.create();
  Deno.mkdirSync(`${place.directory}/run/libvirt`);
  const victim = `${place.directory}/victim`;
  Deno.writeTextFileSync(victim, "precious");
  Deno.symlinkSync(victim, place.paths.socket);
  Deno.symlinkSync(`${place.directory}/absent`, place.paths.adminSocket);
  await using daemon = await Daemon.start({ place });
  assert.ok(Deno.lstatSync(daemon.socket).isSocket);
  assert.equal(Deno.readTextFileSync(victim), "precious");
  assert.ok(!existsSync(`${place.directory}/absent`));
});

Deno.test("a relative PID file is taken from where the daemon was started", async () => {
  await using daemon = await Daemon.start({ args: ["--pid-file=here.pid"] });
  const path = `${daemon.place.directory}/here.pid`;
  assert.equal(Deno.readTextFileSync(path), String(daemon.pid));
  assert.ok(!existsSync(daemon.place.paths.pidFile));
  assert.equal(await daemon.stop(), 0);
  assert.ok(!existsSync(path));
});

Deno.test("a configuration file that was named must exist", async () => {
  for (const args of [["-f", "absent.conf"], ["-d", "--config=absent.conf"]]) {
    const { code, stderr } = await Daemon.run({ args });
    assert.equal(code, 1);
    assert.match(stderr, /^virtlockd: error: .*\/absent\.conf: No such file or directory.*\n$/);
  }
});

Deno.test("a FIFO in the place of the configuration file keeps the daemon from starting, at once", async () => {
  using place = Place.create();
  place.writeConfig("");
  Deno.removeSync(place.paths.config);
  assert.equal(new Deno.Command("mkfifo", { args: [place.paths.config] }).outputSync().code, 0);
  const { code, stderr } = await Daemon.run({ place });
  assert.equal(code, 1);
  assert.match(stderr, /error: Read configuration: read .*\/virtlockd\.conf, which is a FIFO and no file: /);
});

const BROKEN: Record<string, readonly [text: string, message: RegExp]> = {
  "a syntax error": ["log_level = 1\nmax_clients 5\n", /virtlockd\.conf:2: /],
  "a value of the wrong type": ['max_clients = "many"\n', /virtlockd\.conf:1: .*max_clients/],
  "a log level that is none": ["\nlog_level = 9\n", /log.level.*9|9.*log.level/],
  "a log output that is none": ['log_outputs = "1:bogus"\n', /1:bogus/],
};
for (const [name, [text, message]] of Object.entries(BROKEN)) {
  Deno.test(`a configuration file with ${name} keeps the daemon from starting`, async () => {
    using place = Place.create();
    place.writeConfig(text);
    const { code, stderr } = await Daemon.run({ place, env: { LIBVIRT_LOG_OUTPUTS: "" } });
    assert.equal(code, 1);
    assert.match(stderr, /^virtlockd: error: .*\n$/);
    assert.match(stderr, message);
    assert.ok(!existsSync(place.paths.socket) && !existsSync(place.paths.pidFile));
  });
}

Deno.test("an unknown key of the configuration is a warning that names the nearest one", async () => {
  using place = Place.create();
  place.writeConfig("max_client = 5\n");
  await using daemon = await Daemon.start({ place });
  await daemon.log.match(/warning : .*virtlockd\.conf:1.*max_client\b.*max_clients/);
});

Deno.test("a run directory that cannot be made ends the start with code 2", async () => {
  using place = Place.create();
  Deno.writeTextFileSync(`${place.directory}/file`, "");
  for (const args of [[], ["-d"]]) {
    const run = { place, args, env: { XDG_RUNTIME_DIR: `${place.directory}/file/run` } };
    const { code, stderr } = await Daemon.run(run);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^virtlockd: error: Create run directory .*\/file\/run\/libvirt: Not a directory/);
  }
});

Deno.test("a socket that cannot be bound ends the start with code 6", async () => {
  using place = Place.create();
  Deno.mkdirSync(`${place.paths.socket}/in-the-way`, { recursive: true });
  for (const args of [[], ["-d"]]) {
    const { code, stderr } = await Daemon.run({ place, args });
    assert.equal(code, 6, stderr);
    assert.match(stderr, /^virtlockd: error: .*virtlockd-sock/);
  }
  assert.ok(!existsSync(place.paths.pidFile));
});

Deno.test("a socket path that is too long ends the start with code 6", async () => {
  using place = Place.create();
  const run = place.makeDirectory("x".repeat(100));
  const { code, stderr } = await Daemon.run({ place, env: { XDG_RUNTIME_DIR: run } });
  assert.equal(code, 6, stderr);
  assert.match(stderr, /virtlockd-sock: File name too long/);
});

Deno.test("a session without any directory of its own is told which variables it lacks", async () => {
  const { code, stderr } = await Daemon.run({ env: { HOME: "", XDG_RUNTIME_DIR: "", XDG_CACHE_HOME: "" } });
  assert.equal(code, 1);
  assert.equal(
    stderr,
    "virtlockd: error: HOME: expected an absolute path, or one in XDG_CACHE_HOME, got nothing\n",
  );
});

Deno.test("a session without XDG variables has its files below HOME", async () => {
  using place = Place.create();
  const env = { XDG_RUNTIME_DIR: "", XDG_CONFIG_HOME: "", XDG_CACHE_HOME: "" };
  const { code, stderr } = await Daemon.run({ place, env, args: ["-d"] });
  assert.equal(code, 0, stderr);
  const below = `${place.directory}/.cache/libvirt`;
  const pid = Number(Deno.readTextFileSync(`${below}/virtlockd.pid`));
  using client = RawClient.connect(`${below}/virtlockd-sock`);
  client.roundTrip();
  Deno.kill(pid, "SIGTERM");
  await until("the daemon to end", () => !existsSync(`${below}/virtlockd.pid`));
});

Deno.test("-d returns when the background daemon serves", async () => {
  using place = Place.create();
  const { code, stdout, stderr } = await Daemon.run({ ...logsByItself(place), args: ["-dv"] });
  assert.deepEqual([code, stdout, stderr], [0, "", ""]);
  const pid = backgroundPid(place);
  using client = RawClient.connect(place.paths.socket);
  client.roundTrip();
  assert.equal(Deno.readTextFileSync(`/proc/${pid}/comm`), "virtlockd\n");
  assert.equal(Deno.readLinkSync(`/proc/${pid}/cwd`), "/");
  for (const fd of [0, 1, 2]) assert.equal(Deno.readLinkSync(`/proc/${pid}/fd/${fd}`), "/dev/null");
  // Leader of a session of its own (proc(5), stat).
  const [, , , session] = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
  assert.equal(session, String(pid));
  assert.equal(mode(place.paths.logFile), 0o600);
  await endBackground(place);
});

Deno.test("-d logs to the journal where there is one", async () => {
  using place = Place.create();
  using journal = new NotifyListener(journalSocket(place));
  place.writeConfig("max_client = 5\n");
  const { code, stdout, stderr } = await Daemon.run({ ...logsByItself(place), args: ["-d"] });
  assert.deepEqual([code, stdout, stderr], [0, "", ""]);
  await journal.next(/^MESSAGE=.*virtlockd\.conf:1.*max_client\b/);
  assert.ok(!existsSync(place.paths.logFile));
  await endBackground(place);
});

Deno.test("-d goes on with the client limits, the PID file and the signals of the foreground", async () => {
  using place = Place.create();
  const { code } = await Daemon.run({ place, args: ["--daemon", "--verbose", "--pid-file", "d.pid"] });
  assert.equal(code, 0);
  const pidFile = `${place.directory}/d.pid`;
  assert.deepEqual(lockOn(pidFile), { mode: "exclusive", pid: -1 });
  Deno.kill(Number(Deno.readTextFileSync(pidFile)), "SIGTERM");
  await until("the daemon to end", () => !existsSync(pidFile));
  assert.ok(!existsSync(place.paths.socket));
});

Deno.test("an idle daemon ends after its timeout, and one with a lock does not", async () => {
  // These two get their timeout when they have what keeps them: until then a slow machine would end them.
  const endWhenIdle = async (daemon: Daemon) => {
    await using admin = await AdminClient.connect(daemon.adminSocket);
    await admin.setDaemonTimeout(1);
  };
  await using locked = await Daemon.start();
  const disk = `${locked.place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  {
    await using client = await LockClient.connect(locked.socket);
    await client.register(testOwner(5_000_001));
    await client.acquire("", disk);
  }
  await endWhenIdle(locked);
  await using connected = await Daemon.start();
  using client = RawClient.connect(connected.socket);
  client.roundTrip();
  await endWhenIdle(connected);
  // Nobody waits until it listens: it may have ended by then.
  const { code, stderr } = await Daemon.run({ args: ["-vt1"] });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /No client and no lock for 1 s: stopping/);
  // Idle for longer than the one that has just ended, had they not been kept.
  assert.ok(locked.running && connected.running);
  assert.deepEqual(lockOn(disk), { mode: "exclusive", pid: -1 });
  client.close();
  assert.equal((await connected.wait()).code, 0);
  await using again = await LockClient.connect(locked.socket);
  await again.register(testOwner(5_000_001));
  await again.release("", disk);
  await again.close();
  assert.equal((await locked.wait()).code, 0);
});
