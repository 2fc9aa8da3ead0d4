import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { ACQUIRE_AUTOCREATE, ACQUIRE_SHARED, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeResource } from "../support/lock_codec.ts";
import { ParamType } from "../../src/chassis/wire/typed_param.ts";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { THOROUGH } from "../support/thorough.ts";
import { Holder } from "../support/holder.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { isAlive, openDescriptors } from "../support/process_usage.ts";
import { replaceProgram, writeProgram } from "../support/program_file.ts";
import { lockCall, RawClient } from "../support/raw_client.ts";
import { countLines, reExec, reExecCount } from "../support/re_exec.ts";
import { assertRefused } from "../support/refusal.ts";
import { until } from "../support/until.ts";

/** Under load. */
const RE_EXECS = THOROUGH ? 20 : 6;
const VERBOSE = { args: ["-v"] };
const ALPHA = testOwner(5_000_001, "alpha");
const BETA = testOwner(5_000_002, "beta");
const EXCLUSIVE = { mode: "exclusive", pid: -1 };
const SHARED = { mode: "shared", pid: -1 };

Deno.test("a re-exec keeps pid, clients, lockspaces and every kind of lock", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  const { directory } = daemon.place;
  const disk = `${directory}/disk`;
  const leases = `${directory}/leases`;
  Deno.writeTextFileSync(disk, "");
  await using alpha = await LockClient.connect(daemon.socket);
  await using beta = await LockClient.connect(daemon.socket);
  await alpha.register(ALPHA);
  await beta.register(BETA);
  await alpha.createLockspace(leases);
  await alpha.acquire("", disk);
  await alpha.acquire(leases, "exclusive", ACQUIRE_AUTOCREATE);
  await alpha.acquire(leases, "shared", ACQUIRE_AUTOCREATE | ACQUIRE_SHARED);
  await beta.acquire(leases, "shared", ACQUIRE_SHARED);
  await beta.restrict();
  const { pid } = daemon;
  const descriptors = openDescriptors(pid);
  for (let round = 0; round < 2; round++) {
    await reExec(daemon, () => {
      assert.deepEqual(lockOn(disk), EXCLUSIVE);
      assert.deepEqual(lockOn(`${leases}/exclusive`), EXCLUSIVE);
      assert.deepEqual(lockOn(`${leases}/shared`), SHARED);
    });
    assert.equal(Deno.readTextFileSync(daemon.place.paths.pidFile), String(pid));
    assert.deepEqual(lockOn(daemon.place.paths.pidFile), EXCLUSIVE);
    assert.equal(Deno.readTextFileSync(`/proc/${pid}/comm`), "virtlockd\n");
    // The process that connects is looked at once, and remembered.
    await alpha.register(ALPHA);
    await until("it to have no more descriptors", () => openDescriptors(pid) <= descriptors);
  }
  await daemon.log.match(/Took over 2 clients and 3 locks/);
  assert.ok(!existsSync(daemon.place.paths.restartState));
  await assertRefused(beta.release(leases, "shared"), /^29\/7 /);
  await assertRefused(
    alpha.acquire("", disk),
    /^87\/51 .* is locked by domain 'alpha' \(uuid [-0-9a-f]+, pid 5000001\) since 20/,
  );
  await using again = await LockClient.connect(daemon.socket);
  await again.register(BETA);
  await alpha.release(leases, "exclusive");
  assert.ok(!existsSync(`${leases}/exclusive`));
  await alpha.release(leases, "shared");
  assert.deepEqual(lockOn(`${leases}/shared`), SHARED);
  await again.release(leases, "shared");
  assert.ok(!existsSync(`${leases}/shared`));
  await alpha.release("", disk);
  assert.ok(isFree(disk) && existsSync(disk));
  assert.equal(await daemon.stop(), 0);
  assert.ok(!existsSync(daemon.socket) && !existsSync(daemon.place.paths.pidFile));
});

Deno.test("a re-exec keeps unregistered and administrative clients with their ids", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  await using unregistered = await LockClient.connect(daemon.socket);
  await unregistered.createLockspace("");
  await using admin = await AdminClient.connect(daemon.adminSocket);
  await admin.connectOpen();
  const before = await admin.listClients("virtlockd");
  await reExec(daemon);
  assert.deepEqual(await admin.listClients("virtlockd"), before);
  assert.deepEqual((await admin.listClients("admin")).items.map(({ id }) => id), [1n]);
  await assertRefused(unregistered.acquire("", "/x"), /^55\/7 /);
  await unregistered.register(ALPHA);
  await using later = await LockClient.connect(daemon.socket);
  await later.createLockspace("");
  assert.deepEqual((await admin.listClients("virtlockd")).items.map(({ id }) => id), [1n, 2n]);
});

Deno.test("a re-exec keeps what an administrator changed at runtime", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  await using admin = await AdminClient.connect(daemon.adminSocket);
  await admin.setLoggingFilters("1:*locking*");
  await admin.setDaemonTimeout(4711);
  await admin.setClientLimits("virtlockd", [
    { field: "nclients_max", type: ParamType.UINT, value: 77 },
    { field: "nclients_unauth_max", type: ParamType.UINT, value: 7 },
  ]);
  const [limits, filters] = [await admin.clientLimits("virtlockd"), await admin.loggingFilters()];
  await reExec(daemon);
  assert.deepEqual(await admin.clientLimits("virtlockd"), limits);
  assert.deepEqual(await admin.loggingFilters(), filters);
  assert.match(filters.text ?? "", /1:\*+locking\*+/);
});

Deno.test("a message that a re-exec cuts at any byte is completed after it", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  const leases = daemon.place.makeDirectory("leases");
  await using setup = await LockClient.connect(daemon.socket);
  await setup.createLockspace(leases);
  const message = (index: number) =>
    lockCall(
      LockProcedure.ACQUIRE_RESOURCE,
      (writer) =>
        encodeResource(writer, { path: leases, name: `r${index}`.padEnd(6), flags: ACQUIRE_AUTOCREATE }),
      index,
    );
  const { length } = message(0);
  const clients: RawClient[] = [];
  try {
    using other = RawClient.connect(daemon.socket);
    for (let at = 0; at <= length; at++) {
      const client = RawClient.connect(daemon.socket);
      clients.push(client);
      const register = lockCall(LockProcedure.REGISTER, (writer) => {
        writer.opaque(new Uint8Array(16));
        writer.string("");
        for (const value of [1, 5_000_001 + at, 0]) writer.u32(value);
      }, 1);
      client.send(register);
      client.receive();
      client.send(message(at).subarray(0, at));
      other.roundTrip();
      other.roundTrip();
    }
    await reExec(daemon);
    clients.forEach((client, at) => client.send(message(at).subarray(at)));
    clients.forEach((client, at) => {
      const { header } = client.receive();
      assert.deepEqual([header.serial, header.status], [at, 0]);
      assert.ok(client.quiet);
    });
    assert.equal([...Deno.readDirSync(leases)].length, length + 1);
  } finally {
    for (const client of clients) client.close();
  }
});

Deno.test("a re-exec loses neither replies that are not read nor the requests behind them", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  using client = RawClient.connect(daemon.socket);
  using other = RawClient.connect(daemon.socket);
  const call = lockCall(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(""), 0);
  const many = new Uint8Array(call.length * 1000);
  for (let index = 0; index < 1000; index++) many.set(call, index * call.length);
  let sent = 0;
  for (let refused = 0; refused < 3;) {
    const taken = client.offer(many.subarray(sent % many.length));
    sent += taken;
    refused = taken === 0 ? refused + 1 : 0;
    other.roundTrip();
    other.roundTrip();
  }
  await reExec(daemon);
  const whole = Math.floor(sent / call.length);
  for (let received = 0; received < whole; received++) assert.equal(client.receive().header.status, 0);
  client.send(call.subarray(sent % call.length));
  client.receive();
  assert.ok(client.quiet);
});

Deno.test("an oversized message goes on over a re-exec", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  using client = RawClient.connect(daemon.socket);
  using other = RawClient.connect(daemon.socket);
  const size = 1_000_000;
  const call = new Uint8Array(size);
  call.set(lockCall(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(""), 9));
  new DataView(call.buffer).setUint32(0, size);
  const send = (end: number, from: number) => {
    for (let at = from; at < end;) {
      at += client.offer(call.subarray(at, end));
      other.roundTrip();
    }
  };
  send(600_000, 0);
  await reExec(daemon);
  send(size, 600_000);
  const { header } = client.receive();
  assert.deepEqual([header.serial, header.status], [9, 0]);
  client.roundTrip();
});

Deno.test(`50 clients under load get one right reply to every request over ${RE_EXECS} re-execs`, async () => {
  await using daemon = await Daemon.start();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  const leases = daemon.place.makeDirectory("leases");
  let stop = false;
  let requests = 0;
  const work = async (index: number) => {
    await using client = await LockClient.connect(daemon.socket);
    await client.register(testOwner(5_000_100 + index));
    await client.createLockspace(leases);
    while (!stop) {
      await client.acquire(leases, `own-${index}`, ACQUIRE_AUTOCREATE);
      await client.acquire(leases, "common", ACQUIRE_AUTOCREATE | ACQUIRE_SHARED);
      await client.release(leases, "common");
      await client.release(leases, `own-${index}`);
      requests += 4;
    }
    // A second reply to any request would come before.
    await client.ping();
    assert.equal(client.unfinished.length, 0);
  };
  const clients = Promise.allSettled(Array.from({ length: 50 }, (_, index) => work(index)));
  for (let round = 1; round <= RE_EXECS; round++) {
    daemon.signal("SIGUSR1");
    await until(`${round} re-execs`, async () => {
      assert.ok(daemon.running);
      return await reExecCount(admin) >= round;
    });
    const before = requests;
    await until("the clients to go on", () => requests > before);
  }
  stop = true;
  for (const result of await clients) assert.deepEqual(result, { status: "fulfilled", value: undefined });
  assert.deepEqual([...Deno.readDirSync(leases)], []);
});

Deno.test("signals that come at any moment of a re-exec are harmless", async () => {
  using place = Place.create();
  const program = `${place.directory}/virtlockd`;
  writeProgram(program);
  await using daemon = await Daemon.start({ place, program, args: ["-v"] });
  const disk = `${place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using client = await LockClient.connect(daemon.socket);
  await client.register(ALPHA);
  await client.acquire("", disk);
  const before = countLines(daemon, "Took over ");
  await until("five re-execs", () => {
    for (const signal of ["SIGUSR1", "SIGHUP", "SIGUSR1", "SIGUSR1"] as const) daemon.signal(signal);
    assert.deepEqual(lockOn(disk), EXCLUSIVE);
    return countLines(daemon, "Took over ") >= before + 5;
  });
  await client.release("", disk);
  assert.equal(await daemon.stop(), 0);
});

for (const moment of ["Asked to re-exec", "Handing over"]) {
  Deno.test(`SIGTERM ends the daemon when it comes after "${moment}"`, async () => {
    await using daemon = await Daemon.start(VERBOSE);
    using client = RawClient.connect(daemon.socket);
    client.roundTrip();
    daemon.signal("SIGUSR1");
    await daemon.log.match(new RegExp(moment));
    daemon.signal("SIGTERM");
    assert.deepEqual(await daemon.wait(), { code: 0, signal: null });
    const { socket, pidFile, restartState } = daemon.place.paths;
    assert.deepEqual([socket, pidFile, restartState, `${restartState}.check`].filter(existsSync), []);
  });
}

Deno.test("SIGTERM ends the daemon while the next image looks at its state, and leaves no state behind", async () => {
  using place = Place.create();
  const program = `${place.directory}/virtlockd`;
  writeProgram(program);
  await using daemon = await Daemon.start({ place, program, ...VERBOSE });
  // It looks at the state until the test is over.
  const looks = `${place.directory}/looks`;
  Deno.renameSync(program, `${program}.works`);
  replaceProgram(
    program,
    `#!/bin/sh\ncase "$1" in internal-*) : >'${looks}'; while [ -e '${looks}' ]; do sleep 0.05; done;; esac\n` +
      `exec '${program}.works' "$@"\n`,
  );
  const trial = `${place.paths.restartState}.check`;
  daemon.signal("SIGUSR1");
  await until("the next image to look at it", () => existsSync(looks));
  assert.ok(existsSync(trial));
  daemon.signal("SIGTERM");
  assert.deepEqual(await daemon.wait(), { code: 0, signal: null });
  assert.ok(!existsSync(trial));
});

Deno.test("a holder that is being killed is killed in time by the next image, and keeps its lock until then", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  const disk = `${daemon.place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using holder = await Holder.start(daemon);
  await holder.acquire("", disk);
  await holder.ignoreTermination();
  const start = performance.now();
  await holder.disconnect();
  await daemon.log.match(/Sent SIGTERM/);
  // Looked at before the process: what was seen then was so while it lived.
  await reExec(daemon, () => assert.ok(!isFree(disk) || !isAlive(holder.pid)));
  await using client = await LockClient.connect(daemon.socket);
  await client.register(ALPHA);
  const asked = client.acquire("", disk);
  assert.equal(await holder.endedBy(), "SIGKILL");
  const took = performance.now() - start;
  // It had the time that it is given: the new image neither kills at once nor forgets to.
  assert.ok(took >= 1590, `it took ${took} ms`);
  // Who asks waits for the holder's end.
  await asked;
  assert.equal(countLines(daemon, "Sent SIGTERM"), 1);
});

Deno.test("a holder that dies during a re-exec loses its locks", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  const disks = ["a", "b", "c"].map((name) => `${daemon.place.directory}/${name}`);
  for (const disk of disks) Deno.writeTextFileSync(disk, "");
  const [first, second, third] = disks as [string, string, string];
  await using early = await Holder.start(daemon);
  await using late = await Holder.start(daemon);
  await using stays = await Holder.start(daemon);
  await early.acquire("", first);
  await late.acquire("", second);
  await stays.acquire("", third);
  daemon.signal("SIGUSR1");
  await early.kill();
  await daemon.log.match(/Handing over/);
  await late.kill();
  await until("the locks to be freed", () => isFree(first) && isFree(second));
  assert.deepEqual(lockOn(third), EXCLUSIVE);
  assert.ok(stays.running);
  assert.doesNotMatch(daemon.log.text, /SIGTERM/);
});

Deno.test("clients may come and go during a re-exec", async () => {
  await using daemon = await Daemon.start(VERBOSE);
  const churn: Promise<void>[] = [];
  await reExec(daemon, () => {
    churn.push((async () => {
      await using client = await LockClient.connect(daemon.socket);
      await client.createLockspace("");
    })());
    RawClient.connect(daemon.socket).close();
  });
  await Promise.all(churn);
  assert.ok(churn.length > 1);
  await using admin = await AdminClient.connect(daemon.adminSocket);
  await until(
    "the clients to be gone",
    async () => (await admin.listClients("virtlockd")).items.length === 0,
  );
});

Deno.test("a re-exec keeps options, environment and the directory that relative paths begin in", async () => {
  using place = Place.create();
  Deno.writeTextFileSync(`${place.directory}/own.conf`, "max_clients = 5\n");
  await using daemon = await Daemon.start({ place, args: ["-v", "-f", "own.conf", "--pid-file", "own.pid"] });
  const environment = Deno.readTextFileSync(`/proc/${daemon.pid}/environ`);
  const command = Deno.readTextFileSync(`/proc/${daemon.pid}/cmdline`);
  await reExec(daemon);
  assert.equal(Deno.readTextFileSync(`/proc/${daemon.pid}/environ`), environment);
  assert.equal(Deno.readTextFileSync(`/proc/${daemon.pid}/cmdline`), command);
  Deno.writeTextFileSync(`${place.directory}/own.conf`, "max_clients = 6\n");
  daemon.signal("SIGHUP");
  await daemon.log.match(/Configuration read again/);
  await using admin = await AdminClient.connect(daemon.adminSocket);
  assert.deepEqual((await admin.clientLimits("virtlockd"))[0], {
    field: "nclients_max",
    type: ParamType.UINT,
    value: 6,
  });
  assert.equal(await daemon.stop(), 0);
  assert.ok(!existsSync(`${place.directory}/own.pid`));
});

Deno.test("a daemon in the background re-execs in place", async () => {
  using place = Place.create();
  const program = `${place.directory}/virtlockd`;
  writeProgram(program);
  const log = `${place.directory}/log`;
  const env = { LIBVIRT_LOG_OUTPUTS: `1:file:${log}` };
  assert.equal((await Daemon.run({ place, program, args: ["-dv"], env })).code, 0);
  const pid = Number(Deno.readTextFileSync(place.paths.pidFile));
  using client = RawClient.connect(place.paths.socket);
  client.roundTrip();
  Deno.kill(pid, "SIGUSR1");
  await until("the re-exec", () => Deno.readTextFileSync(log).includes("Took over 1 client and 0 locks"));
  client.roundTrip();
  assert.equal(Deno.readLinkSync(`/proc/${pid}/cwd`), "/");
  Deno.kill(pid, "SIGTERM");
  await until("the daemon to end", () => !existsSync(place.paths.pidFile));
});
