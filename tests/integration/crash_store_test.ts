import assert from "node:assert/strict";
import { parseSlot } from "../../src/lockd/journal/descriptor_names.ts";
import { ACQUIRE_AUTOCREATE, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { ENOENT } from "../../src/os/errno.ts";
import { kernel, lockOn } from "../support/kernel.ts";
import { ParamType } from "../../src/chassis/wire/typed_param.ts";
import { AdminClient } from "../support/admin_client.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { lockCall, RawClient } from "../support/raw_client.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { testProgram } from "../support/programs.ts";

/** More than the kernel queues for a service manager that is behind. */
const MANY = 30;
/**
 * A process may have 20,000 descriptors where the tests run in CI. Who is not root may have as many on their
 * way between sockets, and while a daemon stores its locks anew each is there twice.
 */
const MOST_LOCKS = Deno.uid() === 0 ? 18_000 : 8_000;
/** The program, with as many lock files as one likes. */
const SIMULATED_MAIN = testProgram(new URL("../support/simulated_locks_main.ts", import.meta.url));
/** Calls under way at once. */
const BATCH = 100;

function acquireCall(path: string, name: string, serial: number): Uint8Array {
  return lockCall(
    LockProcedure.ACQUIRE_RESOURCE,
    (writer) => encodeResource(writer, { path, name, flags: ACQUIRE_AUTOCREATE }),
    serial,
  );
}

function releaseCall(path: string, name: string, serial: number): Uint8Array {
  return lockCall(
    LockProcedure.RELEASE_RESOURCE,
    (writer) => encodeResource(writer, { path, name, flags: 0 }),
    serial,
  );
}

/** Clients that have each asked for a lock of their own while the service manager takes no messages. */
async function askWhilePaused(
  manager: ServiceManager,
  leases: string,
  stack: DisposableStack,
): Promise<RawClient[]> {
  const clients = Array.from({ length: MANY }, (_, index) => {
    const client = stack.use(RawClient.connect(manager.socket));
    const owner = testOwner(5_000_000 + index);
    const registered = client.request(
      LockProcedure.REGISTER,
      (writer) => encodeRegister(writer, { owner, flags: 0 }),
    );
    assert.equal(registered, undefined);
    return client;
  });
  assert.equal(
    clients[0]?.request(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(leases)),
    undefined,
  );
  await manager.pause();
  // Each connection is a message to the manager, until it takes no more. A connection is accepted within a
  // turn.
  for (let more = 0; more < MANY; more++) {
    stack.use(RawClient.connect(manager.socket));
    clients[0]?.roundTrip();
  }
  clients.forEach((client, index) => client.send(acquireCall(leases, `m${index}`, 7)));
  return clients;
}

function assertAllGranted(clients: readonly RawClient[], leases: string): void {
  clients.forEach((client, index) => {
    const { header } = client.receive();
    assert.deepEqual([header.serial, header.status], [7, 0]);
    assert.equal(lockOn(`${leases}/m${index}`).mode, "exclusive");
  });
  for (const client of clients) {
    client.roundTrip();
    assert.ok(client.quiet);
  }
}

Deno.test("no lock is acknowledged before it is stored, and others are served meanwhile", async () => {
  await using manager = await ServiceManager.start();
  using stack = new DisposableStack();
  const leases = `${manager.place.directory}/leases`;
  using bystander = RawClient.connect(manager.socket);
  bystander.roundTrip();
  const clients = await askWhilePaused(manager, leases, stack);
  bystander.roundTrip();
  bystander.roundTrip();
  const unanswered = clients.filter((client) => client.quiet).length;
  assert.equal(unanswered, MANY);
  await manager.resume();
  assertAllGranted(clients, leases);
  const locks = (await manager.stored()).filter((name) => parseSlot(name)?.kind === "lock");
  assert.equal(locks.length, MANY);
});

Deno.test("requests that wait for the store when the daemon is killed get their one reply after it", async () => {
  await using manager = await ServiceManager.start();
  using stack = new DisposableStack();
  const leases = `${manager.place.directory}/leases`;
  using bystander = RawClient.connect(manager.socket);
  bystander.roundTrip();
  const clients = await askWhilePaused(manager, leases, stack);
  // Behind the one that waits: it is served after it.
  clients.at(-1)?.send(lockCall(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(leases), 8));
  bystander.roundTrip();
  bystander.roundTrip();
  assert.ok(clients.every((client) => client.quiet));
  await manager.kill();
  await manager.resume();
  await manager.start();
  const last = clients.pop();
  assert.deepEqual([last?.receive().header.serial, last?.receive().header.serial], [7, 8]);
  assertAllGranted(clients, leases);
});

Deno.test("what waits behind a request in service is served once and in order, whenever the daemon is killed", async () => {
  let struck = true;
  for (let step = 5; struck; step = Math.ceil(step * 1.7)) {
    await using manager = await ServiceManager.start();
    using stack = new DisposableStack();
    const leases = `${manager.place.directory}/leases`;
    using bystander = RawClient.connect(manager.socket);
    bystander.roundTrip();
    const clients = await askWhilePaused(manager, leases, stack);
    const last = clients.pop() ?? assert.fail("no client");
    const behind = Array.from({ length: 10 }, (_, index) => 8 + index);
    for (const serial of behind) last.send(acquireCall(leases, `b${serial}`, serial));
    bystander.roundTrip();
    bystander.roundTrip();
    assert.ok(last.quiet);
    manager.arm(step);
    await manager.resume();
    const replies = [7, ...behind].map(() => last.receive().header);
    assert.deepEqual(
      replies.map(({ serial, status }) => [serial, status]),
      [7, ...behind].map((each) => [each, 0]),
    );
    for (const serial of behind) assert.equal(lockOn(`${leases}/b${serial}`).mode, "exclusive");
    assertAllGranted(clients, leases);
    last.roundTrip();
    assert.ok(last.quiet);
    struck = manager.struck;
    manager.disarm();
    assert.ok(struck || step > 200, `it was not killed at its ${step}. system call`);
  }
});

Deno.test("a lock that is released while it waits for the store is free, and the others are kept", async () => {
  await using manager = await ServiceManager.start();
  using stack = new DisposableStack();
  const leases = `${manager.place.directory}/leases`;
  const clients = await askWhilePaused(manager, leases, stack);
  // libvirt releases a guest's locks over a connection of its own.
  const last = MANY - 1;
  using libvirt = RawClient.connect(manager.socket);
  libvirt.send(
    lockCall(
      LockProcedure.REGISTER,
      (writer) => encodeRegister(writer, { owner: testOwner(5_000_000 + last), flags: 0 }),
      1,
    ),
  );
  libvirt.send(releaseCall(leases, `m${last}`, 2));
  await manager.resume();
  assert.equal(libvirt.receive().header.status, 0);
  const { header } = libvirt.receive();
  assert.deepEqual([header.serial, header.status], [2, 0]);
  for (const client of clients) client.receive();
  for (const client of clients) client.roundTrip();
  await manager.crash();
  assert.equal(kernel.access(`${leases}/m${last}`, 0), -ENOENT);
  const held = Array.from({ length: MANY - 1 }, (_, index) => lockOn(`${leases}/m${index}`).mode);
  assert.ok(held.every((mode) => mode === "exclusive"));
});

Deno.test("a lock that the store has no room for is granted, reported, and only that one is lost in a crash", async () => {
  // Journal, two sockets, the client, one lock, and three for tripwires: a queue would be two more.
  await using manager = await ServiceManager.start({ limit: 8 });
  const leases = `${manager.place.directory}/leases`;
  await using client = await LockClient.connect(manager.socket);
  await client.register(testOwner(5_000_001));
  await client.createLockspace(leases);
  for (const name of ["a", "b"]) await client.acquire(leases, name, ACQUIRE_AUTOCREATE);
  assert.match(manager.log, /keeps 7 descriptors and takes 8: raise FileDescriptorStoreMax=/);
  assert.match(
    manager.log,
    /not kept by the service manager \(\w+\), a crash would lose it: the store is full/,
  );
  await manager.kill();
  assert.deepEqual(["a", "b"].map((name) => lockOn(`${leases}/${name}`).mode), ["exclusive", "none"]);
  await manager.start();
  assert.match(manager.log, /The lock on 'b' of domain 'guest-5000001'/);
  assert.equal(lockOn(`${leases}/a`).mode, "exclusive");
});

/** A client with so many locks, `n0` and on. */
async function clientWithLocks(manager: ServiceManager, leases: string, count: number): Promise<RawClient> {
  {
    await using client = await LockClient.connect(manager.socket);
    await client.createLockspace(leases);
  }
  const client = RawClient.connect(manager.socket);
  const owner = testOwner(5_000_001);
  assert.equal(
    client.request(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags: 0 })),
    undefined,
  );
  for (let first = 0; first < count; first += BATCH) {
    for (let index = first; index < first + BATCH; index++) {
      client.send(acquireCall(leases, `n${index}`, 7));
    }
    for (let index = first; index < first + BATCH; index++) assert.equal(client.receive().header.status, 0);
  }
  return client;
}

Deno.test(`${MOST_LOCKS} locks outlive a re-exec and a kill -9 in a store that takes 200 descriptors`, async () => {
  await using manager = await ServiceManager.start({ limit: 200 });
  const leases = `${manager.place.directory}/leases`;
  using client = await clientWithLocks(manager, leases, MOST_LOCKS);
  const names = Array.from({ length: MOST_LOCKS }, (_, index) => `n${index}`);
  assert.deepEqual(unlocked(leases, names), []);
  await manager.reExec();
  // What is left of their queues moves, and is on its way twice for a moment.
  const released = names.filter((_, index) => index % 9000 === 0);
  for (const name of released) {
    client.send(releaseCall(leases, name, 8));
    assert.equal(client.receive().header.status, 0);
  }
  const kept = names.filter((_, index) => index % 9000 !== 0);
  await manager.kill();
  assert.deepEqual(unlocked(leases, kept), []);
  await manager.start();
  assert.deepEqual(unlocked(leases, kept), []);
  client.send(releaseCall(leases, "n1", 9));
  assert.equal(client.receive().header.status, 0);
  assert.equal(kernel.access(`${leases}/n1`, 0), -ENOENT);
});

Deno.test("45,000 locks of 4,096 guests, their files simulated, outlive a kill -9 in a store of 65,536", async () => {
  await using manager = await ServiceManager.start({ limit: 65_536, entry: SIMULATED_MAIN });
  const leases = `${manager.place.directory}/leases`;
  using client = await clientWithLocks(manager, leases, 45_000);
  await manager.crash();
  // All are held still, by the one client, and each can be released by itself.
  using other = RawClient.connect(manager.socket);
  const owner = testOwner(5_000_002);
  other.request(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags: 0 }));
  for (const name of ["n0", "n252", "n253", "n31999", "n44999"]) {
    other.send(acquireCall(leases, name, 8));
    assert.equal(other.receive().header.status, 1, name);
    client.send(releaseCall(leases, name, 9));
    assert.equal(client.receive().header.status, 0, name);
    other.send(acquireCall(leases, name, 10));
    assert.equal(other.receive().header.status, 0, name);
  }
  assert.deepEqual(
    manager.log.split("\n").filter((line) => line.includes("is not kept by the service manager")).slice(0, 3),
    [],
  );
});

/** Those of the files that nobody has locked, of very many. */
function unlocked(directory: string, names: readonly string[]): string[] {
  const lines = Deno.readTextFileSync("/proc/locks").matchAll(/OFDLCK .*:(\d+) 0 0$/gm);
  const locked = new Set([...lines].map(([, inode]) => Number(inode)));
  return names.filter((name) => {
    const path = `${directory}/${name}`;
    // The list is not read at one moment: what others lock and unlock meanwhile may hide a line of it.
    return !locked.has(Deno.statSync(path).ino ?? 0) && lockOn(path).mode === "none";
  });
}

Deno.test("systemctl restart keeps locks and clients, and a new configuration counts", async () => {
  await using manager = await ServiceManager.start();
  const leases = `${manager.place.directory}/leases`;
  await using client = await LockClient.connect(manager.socket);
  await client.register(testOwner(5_000_001));
  await client.createLockspace(leases);
  await client.acquire(leases, "a", ACQUIRE_AUTOCREATE);
  manager.place.writeConfig("max_clients = 1\n");
  await manager.restart();
  assert.equal(lockOn(`${leases}/a`).mode, "exclusive");
  await client.release(leases, "a");
  await using admin = await AdminClient.connect(manager.place.paths.adminSocket);
  const limits = await admin.clientLimits("virtlockd");
  assert.deepEqual(limits[0], { field: "nclients_max", type: ParamType.UINT, value: 1 });
});
