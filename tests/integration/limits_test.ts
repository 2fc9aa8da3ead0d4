import assert from "node:assert/strict";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { isFree } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { openDescriptors, ownKiB, processorMs, taskState } from "../support/process_usage.ts";
import { RawClient } from "../support/raw_client.ts";
import { assertRefused } from "../support/refusal.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";

/** CREATE_LOCKSPACE of the default lockspace. */
const CALL = Uint8Array.fromHex("000000200ea7beef0000000100000008000000000000000700000000" + "00000000");

function withLimit(descriptors: number): readonly string[] {
  return ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh"];
}

/** How often the daemon has logged that it cannot accept. */
function complaints(daemon: Daemon): number {
  return daemon.log.text.split("new clients wait").length - 1;
}

Deno.test("at max_clients new connections wait until a client leaves", async () => {
  using place = Place.create();
  place.writeConfig("max_clients = 2\n");
  await using daemon = await Daemon.start({ place });
  using first = RawClient.connect(daemon.socket);
  using second = RawClient.connect(daemon.socket);
  first.roundTrip();
  second.roundTrip();
  await daemon.log.match(
    /warning : .*Server virtlockd has 2 clients, its limit: new ones wait until one leaves/,
  );
  using third = RawClient.connect(daemon.socket);
  using fourth = RawClient.connect(daemon.socket);
  third.send(CALL);
  fourth.send(CALL);
  for (let round = 0; round < 100; round++) first.roundTrip();
  assert.ok(third.quiet && fourth.quiet);
  // Were they heard of again and again, it would never sleep.
  await until("it to sleep", () => taskState(daemon.pid) === "S");
  first.close();
  assert.equal(third.receive().header.status, 0);
  second.roundTrip();
  assert.ok(fourth.quiet);
  second.close();
  assert.equal(fourth.receive().header.status, 0);
});

Deno.test("the limit of the admin server is its own", async () => {
  using place = Place.create();
  place.writeConfig("max_clients = 1\nadmin_max_clients = 1\n");
  await using daemon = await Daemon.start({ place });
  using lock = RawClient.connect(daemon.socket);
  lock.roundTrip();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  assert.deepEqual((await admin.listServers()).items, ["admin", "virtlockd"]);
});

Deno.test("a limit that the administrator raises lets those in who wait", async () => {
  using place = Place.create();
  place.writeConfig("max_clients = 1\n");
  await using daemon = await Daemon.start({ place });
  using first = RawClient.connect(daemon.socket);
  first.roundTrip();
  using second = RawClient.connect(daemon.socket);
  second.send(CALL);
  place.writeConfig("max_clients = 2\n");
  daemon.signal("SIGHUP");
  assert.equal(second.receive().header.status, 0);
  first.roundTrip();
});

Deno.test("a client that does not read its replies costs no memory and keeps nobody waiting", async () => {
  await using daemon = await Daemon.start();
  using other = RawClient.connect(daemon.socket);
  using client = RawClient.connect(daemon.socket);
  const many = new Uint8Array(CALL.length * 1000);
  for (let index = 0; index < 1000; index++) many.set(CALL, index * CALL.length);
  other.roundTrip();
  const before = ownKiB(daemon.pid);
  let sent = 0;
  // Full when nothing is taken although the daemon has had its turns.
  for (let refused = 0; refused < 3;) {
    const taken = client.offer(many.subarray(sent % many.length));
    sent += taken;
    refused = taken === 0 ? refused + 1 : 0;
    other.roundTrip();
    other.roundTrip();
  }
  assert.ok(sent < 16 * 1024 * 1024, `the daemon took ${sent} bytes`);
  assert.ok(ownKiB(daemon.pid) - before < 8 * 1024);
  const whole = Math.floor(sent / CALL.length);
  for (let received = 0; received < whole; received++) client.receive();
  client.send(CALL.subarray(sent % CALL.length));
  client.receive();
  assert.ok(client.quiet);
});

Deno.test("half messages of many clients cost no more memory than they may need", async () => {
  await using daemon = await Daemon.start();
  using other = RawClient.connect(daemon.socket);
  other.roundTrip();
  const before = ownKiB(daemon.pid);
  const clients: RawClient[] = [];
  try {
    // 160 MB are sent, of which no request can need more than 131 kB for each client.
    const half = new Uint8Array(8_000_000);
    half.set(CALL);
    new DataView(half.buffer).setUint32(0, 33554436);
    for (let index = 0; index < 20; index++) {
      const client = RawClient.connect(daemon.socket);
      clients.push(client);
      for (let at = 0; at < half.length;) {
        at += client.offer(half.subarray(at));
        other.roundTrip();
      }
    }
    const grown = ownKiB(daemon.pid) - before;
    assert.ok(grown < 80 * 1024, `grew by ${grown} KiB for 20 clients`);
  } finally {
    for (const client of clients) client.close();
  }
});

Deno.test("a daemon without descriptors refuses what needs one, does not spin, and recovers", async () => {
  await using daemon = await Daemon.start({ launcher: withLimit(100) });
  const disk = `${daemon.place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using first = await LockClient.connect(daemon.socket);
  await first.register(testOwner(5_000_001));
  const clients: RawClient[] = [];
  try {
    while (!/Too many open files/.test(daemon.log.text)) {
      assert.ok(clients.length < 100, "the limit has no effect");
      clients.push(RawClient.connect(daemon.socket));
      await first.createLockspace("");
    }
    // Those that were let in before the end was reached still are; one descriptor may be left over for
    // another.
    await first.acquire("", disk).catch(() => {});
    await assertRefused(
      first.acquire("", `${daemon.place.directory}/config`),
      /^38\/51 Unable to open resource .*: (Too many open files|Is a directory)$/,
    );
    const waiting = RawClient.connect(daemon.socket);
    clients.push(waiting);
    waiting.send(CALL);
    const before = processorMs(daemon.pid);
    const known = complaints(daemon);
    // It tries again every half second, and says so once in a while.
    const told =
      /accept4 a client of virtlockd: Too many open files .*new clients wait.* \(\d+ times more in 10 s\)/;
    await until("the repeats to be told", () => told.test(daemon.log.text));
    assert.ok(processorMs(daemon.pid) - before < 1000, "it spins");
    assert.ok(complaints(daemon) <= known + 2, "it floods the log");
    for (const client of clients.splice(0, clients.length - 1)) client.close();
    assert.equal(waiting.receive().header.status, 0);
    waiting.roundTrip();
    await first.release("", disk).catch(() => {});
    await first.acquire("", disk);
  } finally {
    for (const client of clients) client.close();
  }
});

/** Has a process get no more descriptors, or as many as it may have. */
async function limitDescriptors(pid: number, limit: number | "unlimited"): Promise<void> {
  const [, hard = ""] = /^Max open files +\d+ +(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/limits`)) ??
    [];
  const soft = limit === "unlimited" ? hard : String(limit);
  const { success } = await new Deno.Command("prlimit", { args: [`--pid=${pid}`, `--nofile=${soft}:`] })
    .output();
  assert.ok(success);
}

Deno.test("whoever registers an owner while there are no descriptors is refused: its process could not be watched", async () => {
  await using daemon = await Daemon.start();
  const { directory, env } = daemon.place;
  const disk = `${directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using guest = new TestProcess(["/bin/sleep", "1000"], env, directory);
  await using libvirtd = await LockClient.connect(daemon.socket);
  await libvirtd.createLockspace("");
  // Descriptors 0, 1 and 2 are open, so none is below this limit.
  await limitDescriptors(daemon.pid, 3);
  await assertRefused(
    libvirtd.register(testOwner(guest.pid)),
    /^38\/51 Unable to tell whose process \d+ is that process \d+ registers: Too many open files$/,
  );
  await limitDescriptors(daemon.pid, "unlimited");
  await libvirtd.register(testOwner(guest.pid));
  await libvirtd.acquire("", disk);
  await guest.kill();
  await until("the lock to be freed", () => isFree(disk));
});

Deno.test("descriptors come back when clients leave", async () => {
  await using daemon = await Daemon.start();
  using other = RawClient.connect(daemon.socket);
  other.roundTrip();
  const before = openDescriptors(daemon.pid);
  for (let round = 0; round < 200; round++) {
    using client = RawClient.connect(daemon.socket);
    client.send(CALL.subarray(0, round % CALL.length));
  }
  await until("them to come back", () => openDescriptors(daemon.pid) <= before);
});

Deno.test({
  name: "a peer of another user is turned away",
  // Only root can be somebody else.
  ignore: Deno.uid() !== 0,
}, async () => {
  await using daemon = await Daemon.start();
  const { directory, env } = daemon.place;
  for (const path of [directory, `${directory}/run`, `${directory}/run/libvirt`]) Deno.chmodSync(path, 0o755);
  Deno.chmodSync(daemon.socket, 0o777);
  const script =
    "my $s = IO::Socket::UNIX->new(Peer => shift) or die $!; print sysread($s, my $got, 1), qq(\\n)";
  const perl = ["perl", "-MIO::Socket::UNIX", "-e", script, daemon.socket];
  const command = ["setpriv", "--reuid=4711", "--clear-groups", ...perl];
  await using stranger = new TestProcess(command, env, "/");
  assert.equal((await stranger.wait()).code, 0, stranger.stderr.text);
  assert.equal(stranger.stdout.text, "0\n");
  await daemon.log.match(
    /warning : .*Refused a connection to server virtlockd: process \d+ has uid \d+, wanted \d+/,
  );
  using own = RawClient.connect(daemon.socket);
  own.roundTrip();
});
