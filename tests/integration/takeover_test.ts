import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { F_RDLCK, F_WRLCK, O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import type { JsonObjectValue } from "../../src/lockd/restart/state.ts";
import { ACQUIRE_AUTOCREATE, ACQUIRE_SHARED } from "../../src/lockd/wire/lock_protocol.ts";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { isFree, kernel, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { Predecessor, writtenClient } from "../support/predecessor.ts";
import { reExec } from "../support/re_exec.ts";
import { assertRefused } from "../support/refusal.ts";
import { until } from "../support/until.ts";

// What libvirt's own daemon hands over: documents of all its versions, with real descriptors and POSIX locks.

const ALPHA = testOwner(5_000_001, "alpha");
const BETA = testOwner(5_000_002, "beta");
const NOTHING: JsonObjectValue = { defaultLockspace: { resources: [] }, lockspaces: [] };

/** Whether the process has the lock itself, as a POSIX lock. */
function heldBy(pid: number, path: string, mode = "exclusive"): void {
  assert.deepEqual(lockOn(path), { mode, pid });
}

/** Every form in which a document may name the servers. */
const FORMS: Record<string, (before: Predecessor, clients: readonly JsonObjectValue[]) => JsonObjectValue> = {
  "libvirt 9.0": (before, clients) => ({
    daemon: { servers: { admin: before.adminServer(), virtlockd: before.lockServer(clients) } },
  }),
  "a libvirt without admin server": (before, clients) => ({
    daemon: { servers: { virtlockd: before.lockServer(clients) } },
  }),
  "libvirt 1.2": (before, clients) => ({
    daemon: { servers: [older(before.lockServer(clients))] },
  }),
  "libvirt 1.0": (before, clients) => ({
    server: older(before.lockServer(clients.map(({ id: _id, conn_time: _time, ...client }) => client))),
  }),
};

function older(server: JsonObjectValue): JsonObjectValue {
  const { max_anonymous_clients: _max, next_client_id: _next, ...rest } = server;
  return { ...rest, keepaliveRequired: false };
}

for (const [name, form] of Object.entries(FORMS)) {
  Deno.test(`a document of ${name} is taken over with sockets, clients and locks`, async () => {
    using place = Place.create();
    await using before = await Predecessor.start(place);
    await using alpha = await LockClient.connect(place.paths.socket);
    await using beta = await LockClient.connect(place.paths.socket);
    const clients = [
      writtenClient(3, await before.accept(), ALPHA),
      writtenClient(4, await before.accept(), BETA, true),
    ];
    const disk = await before.lock(`${place.directory}/disk`);
    const shared = await before.lock(`${place.directory}/shared`, "posix", F_RDLCK, ACQUIRE_SHARED);
    const leases = place.makeDirectory("leases");
    const lease = {
      ...await before.lock(`${leases}/lease`, "ofd", F_WRLCK, ACQUIRE_AUTOCREATE),
      name: "lease",
    };
    const daemon = await before.handOver({
      ...form(before, clients),
      defaultLockspace: {
        resources: [{ ...disk, owners: [ALPHA.pid] }, { ...shared, owners: [ALPHA.pid, BETA.pid] }],
      },
      lockspaces: [{ directory: leases, resources: [{ ...lease, owners: [ALPHA.pid] }] }],
    });
    await daemon.log.match(/Took over 2 clients and 3 locks/);
    assert.equal(daemon.pid, before.pid);
    heldBy(-1, disk.path);
    heldBy(-1, shared.path, "shared");
    heldBy(-1, lease.path);
    assert.match(
      daemon.log.text,
      /2 POSIX locks of libvirt's daemon are locks of open file descriptions now/,
    );
    assert.ok(!existsSync(place.paths.restartState));
    assert.equal(Deno.readTextFileSync(place.paths.pidFile), String(daemon.pid));
    await assertRefused(beta.acquire("", disk.path), /^29\/7 /);
    await assertRefused(
      alpha.acquire("", disk.path),
      /^87\/51 .* is locked by domain 'alpha' .*pid 5000001\)$/,
    );
    await using admin = await AdminClient.connect(place.paths.adminSocket);
    assert.equal((await admin.listClients("virtlockd")).items.length, 2);
    await alpha.release(leases, "lease");
    assert.ok(!existsSync(lease.path));
    await alpha.release("", disk.path);
    assert.ok(isFree(disk.path));
    await alpha.release("", shared.path);
    heldBy(-1, shared.path, "shared");
    await alpha.register(BETA);
    await alpha.release("", shared.path);
    assert.ok(isFree(shared.path));
    await alpha.acquire("", disk.path);
    heldBy(-1, disk.path);
    assert.equal(await daemon.stop(), 0);
    assert.ok(!existsSync(place.paths.socket) && !existsSync(place.paths.adminSocket));
  });
}

/** A daemon that has taken over POSIX locks, with a client that is registered as `alpha`. */
async function withPosixLocks(
  place: Place,
  before: Predecessor,
  resources: readonly JsonObjectValue[],
): Promise<{ daemon: Daemon; client: LockClient }> {
  const client = await LockClient.connect(place.paths.socket);
  const clients = [writtenClient(1, await before.accept(), ALPHA)];
  const daemon = await before.handOver({
    ...NOTHING,
    daemon: { servers: { admin: before.adminServer(), virtlockd: before.lockServer(clients) } },
    defaultLockspace: { resources },
  });
  await daemon.log.match(/Took over/);
  return { daemon, client };
}

Deno.test("an inherited POSIX lock survives every request on another name of its file", async () => {
  using place = Place.create();
  await using before = await Predecessor.start(place);
  const disk = await before.lock(`${place.directory}/disk`);
  const leases = place.makeDirectory("leases");
  Deno.symlinkSync(disk.path, `${place.directory}/symbolic`);
  Deno.linkSync(disk.path, `${place.directory}/hard`);
  Deno.linkSync(disk.path, `${leases}/hard`);
  Deno.linkSync(disk.path, `${place.directory}/twin`);
  // Only one of two names could become a description's lock, so both stay as they are.
  const twin = await before.lock(`${place.directory}/twin`);
  const { daemon, client } = await withPosixLocks(place, before, [
    { ...disk, owners: [ALPHA.pid] },
    { ...twin, owners: [ALPHA.pid] },
  ]);
  await daemon.log.match(
    /warning : .*'.*disk' of domain 'alpha' .* is still a POSIX lock, .*: its file is locked as '.*twin' too/,
  );
  await using _ = client;
  await client.createLockspace(leases);
  for (let round = 0; round < 2; round++) {
    for (const name of ["symbolic", "hard"]) {
      const alias = `${place.directory}/${name}`;
      for (const flags of [0, ACQUIRE_SHARED, ACQUIRE_AUTOCREATE]) {
        await assertRefused(
          client.acquire("", alias, flags),
          /^87\/51 .* is locked as '.*disk' by domain 'alpha'/,
        );
        heldBy(daemon.pid, disk.path);
      }
      await client.createResource("", alias);
      heldBy(daemon.pid, disk.path);
    }
    await assertRefused(client.acquire(leases, "hard"), /^87\/51 /);
    await client.createResource(leases, "hard");
    heldBy(daemon.pid, disk.path);
    // In the image after this one, too.
    await reExec(daemon, () => heldBy(daemon.pid, disk.path));
  }
  await client.deleteResource(leases, "hard");
  heldBy(daemon.pid, disk.path);
  await client.release("", disk.path);
  heldBy(daemon.pid, disk.path);
  await client.release("", twin.path);
  assert.ok(isFree(disk.path));
});

Deno.test("a shared POSIX lock survives that its file is shared and released under another name", async () => {
  using place = Place.create();
  await using before = await Predecessor.start(place);
  const disk = await before.lock(`${place.directory}/disk`, "posix", F_RDLCK, ACQUIRE_SHARED);
  const alias = `${place.directory}/alias`;
  Deno.linkSync(disk.path, alias);
  const { daemon, client } = await withPosixLocks(place, before, [{ ...disk, owners: [ALPHA.pid] }]);
  await using _ = client;
  await client.acquire("", alias, ACQUIRE_SHARED);
  await client.release("", alias);
  heldBy(-1, disk.path, "shared");
  await client.acquire("", alias, ACQUIRE_SHARED);
  await reExec(daemon, () => heldBy(-1, disk.path, "shared"));
  await client.release("", alias);
  heldBy(-1, disk.path, "shared");
  await client.release("", disk.path);
  assert.ok(isFree(disk.path));
});

Deno.test("of two names that share a POSIX lock one is released without the other", async () => {
  using place = Place.create();
  await using before = await Predecessor.start(place);
  const disk = await before.lock(`${place.directory}/disk`);
  Deno.linkSync(disk.path, `${place.directory}/alias`);
  // libvirt's daemon grants both: fcntl locks never conflict in one process.
  const alias = await before.lock(`${place.directory}/alias`);
  const { daemon, client } = await withPosixLocks(place, before, [
    { ...disk, owners: [ALPHA.pid] },
    { ...alias, owners: [ALPHA.pid] },
  ]);
  await using _ = client;
  heldBy(daemon.pid, alias.path);
  await client.release("", disk.path);
  heldBy(daemon.pid, alias.path);
  // The next image finds only one name, and converts that.
  await reExec(daemon, () => assert.equal(lockOn(alias.path).mode, "exclusive"));
  heldBy(-1, alias.path);
  await client.release("", alias.path);
  assert.ok(isFree(disk.path));
});

Deno.test("an autocreated file with a POSIX lock is unlinked with its last owner", async () => {
  using place = Place.create();
  await using before = await Predecessor.start(place);
  const flags = ACQUIRE_AUTOCREATE | ACQUIRE_SHARED;
  const exclusive = await before.lock(`${place.directory}/exclusive`, "posix", F_WRLCK, ACQUIRE_AUTOCREATE);
  const shared = await before.lock(`${place.directory}/shared`, "posix", F_RDLCK, flags);
  const { client } = await withPosixLocks(place, before, [
    { ...exclusive, owners: [ALPHA.pid] },
    { ...shared, owners: [ALPHA.pid, ALPHA.pid] },
  ]);
  await using _ = client;
  await client.release("", exclusive.path);
  assert.ok(!existsSync(exclusive.path));
  await client.release("", shared.path);
  heldBy(-1, shared.path, "shared");
  await client.release("", shared.path);
  assert.ok(!existsSync(shared.path));
});

Deno.test("a lock that the kernel does not hold is taken again, or kept in doubt and said so", async () => {
  using place = Place.create();
  await using before = await Predecessor.start(place);
  const free = await before.lock(`${place.directory}/free`, "none");
  const taken = await before.lock(`${place.directory}/taken`, "none");
  const fd = kernel.open(taken.path, O_RDWR | O_CLOEXEC, 0);
  assert.equal(kernel.ofdLock(fd, F_WRLCK, 0, 1), 0);
  const { daemon, client } = await withPosixLocks(place, before, [
    { ...free, owners: [ALPHA.pid] },
    { ...taken, owners: [ALPHA.pid] },
  ]);
  await using _ = client;
  heldBy(-1, free.path);
  await daemon.log.match(
    /error : .*lock on '.*taken' of .* is in doubt: its kernel lock was missing and could not be taken: /,
  );
  await assertRefused(client.acquire("", taken.path), /^87\/51 /);
  kernel.close(fd);
  await client.release("", taken.path);
  await client.acquire("", taken.path);
  heldBy(-1, taken.path);
});

Deno.test("a holder whose connection ends after the takeover loses its locks", async () => {
  using place = Place.create();
  await using before = await Predecessor.start(place);
  const disk = await before.lock(`${place.directory}/disk`);
  // The test's own process may not be killed: another one has the connection.
  const sleeper = new Deno.Command("perl", {
    args: [
      "-MIO::Socket::UNIX",
      "-e",
      "$s = IO::Socket::UNIX->new(Peer => shift) or die; sleep 1000",
      place.paths.socket,
    ],
  }).spawn();
  const owner = testOwner(sleeper.pid, "guest");
  const daemon = await before.handOver({
    ...NOTHING,
    daemon: { servers: { virtlockd: before.lockServer([writtenClient(1, await before.accept(), owner)]) } },
    defaultLockspace: { resources: [{ ...disk, owners: [sleeper.pid] }] },
  });
  await daemon.log.match(/Took over 1 client/);
  heldBy(-1, disk.path);
  sleeper.kill("SIGKILL");
  await sleeper.status;
  await until("the lock to be freed", () => isFree(disk.path));
});

Deno.test("a state that is meant for another process is put away with a warning", async () => {
  using place = Place.create();
  Deno.mkdirSync(`${place.directory}/run/libvirt`);
  Deno.writeTextFileSync(place.paths.restartState, '{"magic": "1", "daemon": null}');
  await using daemon = await Daemon.start({ place });
  await daemon.log.match(
    new RegExp(`warning : .*restart state that was meant for process 1, this one is ${daemon.pid}`),
  );
  assert.ok(!existsSync(place.paths.restartState));
  await using client = await LockClient.connect(daemon.socket);
  await client.createLockspace("");
});

type Break = (document: JsonObjectValue) => JsonObjectValue;
const BROKEN: Record<string, readonly [Break, RegExp]> = {
  "daemon.servers": [
    ({ daemon: _daemon, ...rest }) => ({ ...rest, daemon: {} }),
    /daemon\.servers: expected an object, got nothing/,
  ],
  "defaultLockspace": [
    ({ defaultLockspace: _lockspace, ...rest }) => rest,
    /defaultLockspace: expected an object, got nothing/,
  ],
  "a resource's descriptor": [
    (document) => ({ ...document, defaultLockspace: { resources: [{ ...resource(900), fd: "3" }] } }),
    /defaultLockspace\.resources\[0\]\.fd: expected a descriptor number, got "3"/,
  ],
  "a lock that is not open": [
    (document) => ({ ...document, defaultLockspace: { resources: [resource(900)] } }),
    /defaultLockspace\.resources\[0\]\.fd: expected an open descriptor, got 900: Bad file descriptor/,
  ],
  "a lock in a lockspace that is not open": [
    (document) => ({ ...document, lockspaces: [{ directory: "/x", resources: [resource(900)] }] }),
    /lockspaces\[0\]\.resources\[0\]\.fd: expected an open descriptor, got 900/,
  ],
  "a client that is not open": [
    (document) => ({ ...document, ...withClient(document, 900) }),
    /daemon\.servers\.virtlockd\.clients\[0\]\.sock\.fd: expected an open descriptor, got 900/,
  ],
  "a client that is no socket": [
    (document) => ({ ...document, ...withClient(document, 0) }),
    /daemon\.servers\.virtlockd\.clients\[0\]\.sock\.fd: expected a connected socket, got 0/,
  ],
};

function resource(fd: number): JsonObjectValue {
  return { name: "/x", path: "/x", fd, lockHeld: true, flags: 0, owners: [1] };
}

function withClient(document: JsonObjectValue, fd: number): JsonObjectValue {
  const text = JSON.stringify(document).replace(
    '"clients":[]',
    `"clients":[${JSON.stringify(writtenClient(1, fd, ALPHA))}]`,
  );
  return JSON.parse(text);
}

for (const [name, [spoil, wanted]] of Object.entries(BROKEN)) {
  Deno.test(`a state that is wrong in ${name} ends the start with code 3 and the field's name`, async () => {
    using place = Place.create();
    await using before = await Predecessor.start(place);
    const document = { ...NOTHING, daemon: { servers: { virtlockd: before.lockServer() } } };
    const daemon = await before.handOver(spoil(document));
    assert.equal((await daemon.wait()).code, 3);
    const lines = daemon.log.text.trimEnd().split("\n").filter((line) =>
      line.startsWith("virtlockd: error: ")
    );
    assert.equal(lines.length, 1, daemon.log.text);
    assert.match(lines[0] ?? "", wanted);
    assert.ok(!existsSync(place.paths.pidFile));
  });
}

Deno.test("a state that is no JSON ends the start with code 3", async () => {
  using place = Place.create();
  await using before = await Predecessor.start(place);
  const daemon = await before.handOver(`{"magic": "${before.pid}", "daemon": `);
  assert.equal((await daemon.wait()).code, 3);
  assert.match(
    daemon.log.text,
    /^virtlockd: error: Load restart state .*\.json: restart state: expected JSON, got a syntax error/m,
  );
});
