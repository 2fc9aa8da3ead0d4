import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { Daemon } from "../support/daemon.ts";
import { logsByItself } from "../support/journal.ts";
import { lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { replaceProgram, writeProgram } from "../support/program_file.ts";
import { RawClient } from "../support/raw_client.ts";
import { countLines, reExec, refusedReExec } from "../support/re_exec.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";

// At SIGUSR1 the runtime would open a debugger port, from about half a second after its start on; before, the
// signal would kill.

/** Inodes of the network sockets of all processes, other than Unix ones. */
function networkInodes(): Set<string> {
  const tables = ["tcp", "tcp6", "udp", "udp6"].map((name) => Deno.readTextFileSync(`/proc/net/${name}`));
  return new Set(
    tables.flatMap((table) => table.split("\n").map((line) => line.trim().split(/\s+/)[9] ?? "")),
  );
}

/** Network sockets of a process. */
function networkSockets(pid: number): string[] {
  const inodes = networkInodes();
  const sockets: string[] = [];
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    // A descriptor may be closed meanwhile.
    const target = linkOf(`/proc/${pid}/fd/${name}`);
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined && inodes.has(inode)) sockets.push(target);
  }
  return sockets;
}

function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

Deno.test("networkSockets() sees a socket that listens", () => {
  const before = networkSockets(Deno.pid).length;
  using _listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assert.equal(networkSockets(Deno.pid).length, before + 1);
});

Deno.test("SIGUSR1 neither kills the daemon nor opens a port, from the first moment on", async () => {
  using place = Place.create();
  const program = `${place.directory}/virtlockd`;
  writeProgram(program);
  await using process = new TestProcess(place.command([program, "-v"]), place.env, place.directory);
  const daemon = Daemon.of(place, process);
  // The shell that begins the program has blocked nothing yet.
  await until("the runtime to start", () => {
    assert.ok(process.running);
    return Deno.readTextFileSync(`/proc/${process.pid}/cmdline`).includes("\0--ext=js\0");
  });
  await until("a re-exec", () => {
    assert.ok(process.running, daemon.log.text);
    process.signal("SIGUSR1");
    assert.deepEqual(networkSockets(process.pid), []);
    return countLines(daemon, "Took over ") > 0;
  });
  using client = RawClient.connect(daemon.socket);
  client.roundTrip();
  assert.deepEqual(networkSockets(process.pid), []);
});

Deno.test("SIGUSR1 opens no port when the runtime has run for longer than it takes to arm its debugger", async () => {
  using place = Place.create();
  const program = `${place.directory}/virtlockd`;
  writeProgram(program);
  await using daemon = await Daemon.start({ place, program, args: ["-v"] });
  const started = performance.now();
  using client = RawClient.connect(daemon.socket);
  await until("it to have run for 700 ms", () => {
    client.roundTrip();
    return performance.now() - started > 700;
  });
  // With a program that it does not exec, the same image sees several of them.
  replaceProgram(program, "#!/bin/sh\necho another program\n");
  for (let round = 0; round < 3; round++) {
    assert.match(await refusedReExec(daemon), /it is not a virtlockd/);
    assert.deepEqual(networkSockets(daemon.pid), []);
  }
  writeProgram(program);
  await reExec(daemon, () => assert.deepEqual(networkSockets(daemon.pid), []));
  client.roundTrip();
});

Deno.test("SIGHUP reads the configuration again: limits, logging and warnings", async () => {
  using place = Place.create();
  place.writeConfig("max_clients = 1\n");
  await using daemon = await Daemon.start(logsByItself(place));
  using first = RawClient.connect(daemon.socket);
  first.roundTrip();
  const log = `${place.directory}/own.log`;
  place.writeConfig(`max_clients = 2\nlog_level = 2\nlog_outputs = "2:file:${log}"\nbogus = 1\n`);
  daemon.signal("SIGHUP");
  using second = RawClient.connect(daemon.socket);
  second.roundTrip();
  const text = Deno.readTextFileSync(log);
  assert.match(text, /warning : .*virtlockd\.conf:4.*bogus/);
  assert.match(text, /info : locking\.lock_daemon : Configuration read again/);
});

Deno.test("SIGHUP says once, by itself, what only a reload takes over, and nothing after that reload", async () => {
  using place = Place.create();
  await using daemon = await Daemon.start(logsByItself(place));
  const log = `${place.directory}/own.log`;
  const hang = async () => {
    const before = countText(log, "Configuration read again");
    daemon.signal("SIGHUP");
    await until("reading", () => countText(log, "Configuration read again") > before);
  };
  const configure = (text: string) =>
    place.writeConfig(`log_level = 2\nlog_outputs = "2:file:${log}"\n${text}`);
  const said = "Changed in the configuration, and not taken over by SIGHUP";
  configure(`max_clients = 9\nstorage_timeout = 3\ncluster_wait = 6\ncluster_fence_data = "x"\n`);
  await hang();
  assert.equal(countText(log, said), 0);
  configure('cluster_host_id = "h"\ncluster_trust_reboot = 0\nmax_clients = 9\n');
  await hang();
  await hang();
  assert.equal(countText(log, said), 1);
  assert.match(
    Deno.readTextFileSync(log),
    /warning : .*SIGHUP: cluster_host_id, cluster_trust_reboot\. 'virtlockd reload' takes it over, and drops no lock/,
  );
  const { code, stdout } = await daemon.command("reload", "--pid", String(daemon.pid));
  assert.deepEqual([code, stdout.length > 0], [0, true]);
  await hang();
  assert.equal(countText(log, said), 1);
});

Deno.test("SIGHUP with a broken configuration changes nothing, and says why", async () => {
  using place = Place.create();
  place.writeConfig("max_clients = 1\n");
  await using daemon = await Daemon.start({ place });
  using first = RawClient.connect(daemon.socket);
  first.roundTrip();
  const broken = [
    ["max_clients = ]\n", /virtlockd\.conf:1: expected a value/],
    ['max_clients = "x"\n', /virtlockd\.conf:1.*max_clients/],
    ['max_clients = 9\nlog_filters = "nonsense"\n', /nonsense/],
  ] as const;
  for (const [text, reason] of broken) {
    place.writeConfig(text);
    const before = countLines(daemon, "the old settings stay");
    daemon.signal("SIGHUP");
    await until("the complaint", () => countLines(daemon, "the old settings stay") > before);
    assert.match(daemon.log.text.split("\n").at(-2) ?? "", reason);
  }
  using second = RawClient.connect(daemon.socket);
  first.roundTrip();
  assert.ok(second.quiet);
});

Deno.test("SIGHUP reopens a log file that was renamed", async () => {
  using place = Place.create();
  const log = `${place.directory}/log`;
  await using daemon = await Daemon.start({
    place,
    env: { LIBVIRT_LOG_OUTPUTS: `2:file:${log}`, LIBVIRT_DEBUG: "2" },
  });
  await using client = await LockClient.connect(daemon.socket);
  await client.createLockspace(`${place.directory}/one`);
  Deno.renameSync(log, `${log}.1`);
  daemon.signal("SIGHUP");
  await until("the new file", () => existsSync(log));
  await client.createLockspace(`${place.directory}/two`);
  assert.match(Deno.readTextFileSync(`${log}.1`), /Created lockspace .*\/one\n/);
  assert.match(Deno.readTextFileSync(log), /Created lockspace .*\/two\n/);
  assert.doesNotMatch(Deno.readTextFileSync(log), /\/one\n/);
});

Deno.test("a storm of SIGHUP loses no request", async () => {
  await using daemon = await Daemon.start();
  await using client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(5_000_001));
  const disk = `${daemon.place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  for (let round = 0; round < 100; round++) {
    daemon.signal("SIGHUP");
    await client.acquire("", disk);
    assert.equal(lockOn(disk).mode, "exclusive");
    daemon.signal("SIGHUP");
    await client.release("", disk);
  }
  assert.equal(await daemon.stop(), 0);
});

/** How often a text is in a file, which need not be there. */
function countText(path: string, text: string): number {
  try {
    return Deno.readTextFileSync(path).split(text).length - 1;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
