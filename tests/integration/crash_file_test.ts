import assert from "node:assert/strict";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { F_WRLCK, O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { isFree, kernel, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { until } from "../support/until.ts";

// Without a service manager that keeps descriptors: the journal tells the next daemon what was lost.

const MODE = 0o777;

Deno.test("a daemon that was killed takes the locks of living guests again, and waits for their end", async () => {
  using place = Place.create();
  const leases = place.makeDirectory("leases");
  await using holder = await startHolder(place, leases);
  await using next = await Daemon.start({ place });
  assert.deepEqual(lockOn(`${leases}/h`), { mode: "exclusive", pid: -1 });
  await next.log.match(
    new RegExp(
      `The lock on 'h' of domain 'guest-${holder.pid}' .* ended with the daemon: it is taken again, but was`,
    ),
  );
  await using client = await LockClient.connect(next.socket);
  await client.register(testOwner(5_000_001));
  await assert.rejects(client.acquire(leases, "h"), /'h' is locked/);
  // Its connection was lost by no fault of its own.
  assert.ok(holder.running);
  await holder.kill();
  await until("the lock to go", () => isFree(`${leases}/h`));
  await client.acquire(leases, "h", ACQUIRE_AUTOCREATE);
});

Deno.test("a daemon that was killed does not take the locks of dead guests again, and removes their files", async () => {
  using place = Place.create();
  const leases = place.makeDirectory("leases");
  {
    await using _holder = await startHolder(place, leases);
  }
  await using _next = await Daemon.start({ place });
  await until("the file to go", () => kernel.access(`${leases}/h`, 0) < 0);
});

Deno.test("a daemon that was killed names the guests whose lock somebody else has got meanwhile", async () => {
  using place = Place.create();
  const leases = place.makeDirectory("leases");
  await using holder = await startHolder(place, leases);
  const thief = kernel.open(`${leases}/h`, O_RDWR | O_CLOEXEC, 0);
  assert.equal(kernel.ofdLock(thief, F_WRLCK, 0, 1), 0);
  await using next = await Daemon.start({ place });
  await next.log.match(
    new RegExp(
      `error : .*'h' of domain 'guest-${holder.pid}' .*: somebody else holds it now; its guest runs unprotected`,
    ),
  );
  const { stdout } = await next.command("locks", "--json");
  assert.match(
    stdout,
    /"state": "lost",\s*"reason": "somebody else holds it now"/,
  );
  // Others are kept away from it meanwhile, and it is taken again as soon as that is possible.
  await using client = await LockClient.connect(next.socket);
  await client.register(testOwner(5_000_001));
  await assert.rejects(client.acquire(leases, "h", ACQUIRE_AUTOCREATE), /is locked by domain/);
  kernel.close(thief);
  await next.log.match(/warning : .*'h' of domain .* ended with the last daemon: it is taken again/);
  assert.deepEqual(isFree(`${leases}/h`), false);
  await holder.kill();
  await until("the file to go", () => kernel.access(`${leases}/h`, 0) < 0);
});

Deno.test("an orderly end without locks leaves no journal, one with locks does", async () => {
  using place = Place.create();
  const leases = place.makeDirectory("leases");
  const journal = `${place.paths.journalDir}/journal`;
  {
    await using daemon = await Daemon.start({ place });
    assert.equal(kernel.access(journal, 0), 0);
    assert.equal((Deno.statSync(journal).mode ?? 0) & MODE, 0o600);
    assert.equal((Deno.statSync(place.paths.journalDir).mode ?? 0) & MODE, 0o700);
    await daemon.stop();
  }
  assert.notEqual(kernel.access(journal, 0), 0);
  await using daemon = await Daemon.start({ place });
  await using client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(5_000_001));
  await client.createLockspace(leases);
  await client.acquire(leases, "r", ACQUIRE_AUTOCREATE);
  await daemon.stop();
  assert.equal(kernel.access(journal, 0), 0);
});

Deno.test("a journal that is damaged is reported, and the daemon starts", async () => {
  using place = Place.create();
  Deno.mkdirSync(place.paths.journalDir, { recursive: true });
  Deno.writeTextFileSync(`${place.paths.journalDir}/journal`, "no journal at all");
  await using daemon = await Daemon.start({ place });
  await daemon.log.match(/The journal that an earlier daemon has left cannot be read: it has 17 bytes/);
  await using client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(5_000_001));
});

Deno.test("a daemon does not start without a journal that it cannot open, because that says which guests run", async () => {
  using place = Place.create();
  const leases = place.makeDirectory("leases");
  await using _holder = await startHolder(place, leases);
  const journal = `${place.paths.journalDir}/journal`;
  Deno.chmodSync(journal, 0);
  const { code, stderr } = await Daemon.run({ place, env: { LIBVIRT_LOG_OUTPUTS: "3:stderr" } });
  assert.equal(code, 3);
  assert.match(
    stderr,
    new RegExp(
      `virtlockd: error: An earlier daemon has left a journal of its locks in ${journal}, which cannot be read: ` +
        `open ${journal}: Permission denied \\(EACCES\\)\\. Without it the disks of running guests would be given ` +
        "to others; remove it if no guest runs\n",
    ),
  );
  Deno.chmodSync(journal, 0o600);
  await using _next = await Daemon.start({ place });
  assert.deepEqual(lockOn(`${leases}/h`), { mode: "exclusive", pid: -1 });
});

Deno.test("a symbolic link that was planted as the journal is not followed", async () => {
  using place = Place.create();
  const target = `${place.directory}/target`;
  Deno.writeTextFileSync(target, "precious");
  Deno.mkdirSync(place.paths.journalDir, { recursive: true });
  Deno.symlinkSync(target, `${place.paths.journalDir}/journal`);
  await using daemon = await Daemon.start({ place });
  await daemon.log.match(/No journal, a crash would lose the locks: open .*ELOOP/);
  assert.equal(Deno.readTextFileSync(target), "precious");
});

/** A holder with the lock `h`, whose daemon was killed. */
async function startHolder(place: Place, leases: string): Promise<Holder> {
  await using daemon = await Daemon.start({ place });
  await using client = await LockClient.connect(daemon.socket);
  await client.createLockspace(leases);
  const holder = await Holder.start(daemon);
  await holder.acquire(leases, "h", ACQUIRE_AUTOCREATE);
  await daemon.kill();
  return holder;
}
