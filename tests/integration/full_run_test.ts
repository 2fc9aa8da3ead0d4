import assert from "node:assert/strict";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import type { Place } from "../support/place.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { SmallRun } from "../support/small_run.ts";
import { until } from "../support/until.ts";

// A real tmpfs as the run directory, full but for some pages. A journal takes 35 at least, and the PID file
// one.

const SIZE = 1 << 20;
const HELD = { mode: "exclusive", pid: -1 };
/** Pages that are free when the first daemon starts. Without one there is no PID file. */
const FREE = [1, 2, 35, 36];

/** Only root can mount something in a namespace of its own where a user cannot. */
function runTest(name: string, body: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.uid() !== 0, fn: body });
}

/** A holder that has the lock `h`. */
async function holderOf(daemon: { readonly place: Place; readonly socket: string }): Promise<Holder> {
  const holder = await Holder.start(daemon);
  await holder.acquire("", daemon.place.directory + "/h");
  return holder;
}

for (const free of FREE) {
  runTest(`with a store a lock outlives kill -9 in a full /run; ${free} pages were free`, async () => {
    using run = new SmallRun(SIZE);
    const { place } = run;
    Deno.writeTextFileSync(`${place.directory}/h`, "");
    run.fill(free);
    await using manager = await ServiceManager.start({ place });
    const inMemory = /The journal is in memory alone, .*: pwrite journal: No space left on device \(ENOSPC\)/;
    if (free < 36) assert.match(manager.log, inMemory);
    else assert.doesNotMatch(manager.log, inMemory);
    assert.deepEqual(run.journalFiles, free < 36 ? [] : ["journal"]);
    await using holder = await holderOf(manager);
    for (const left of [0, 1, 2]) {
      await manager.kill();
      assert.deepEqual(lockOn(`${place.directory}/h`), HELD);
      run.fill(left);
      await manager.start();
      assert.deepEqual(lockOn(`${place.directory}/h`), HELD);
      const { stdout } = await manager.command("locks", "--json");
      const locks: { state: string; holders: { domain: string }[] }[] = JSON.parse(stdout);
      assert.deepEqual(
        locks.map(({ state, holders }) => [state, holders.map(({ domain }) => domain)]),
        [["held", [holder.owner.name]]],
      );
      await using client = await LockClient.connect(run.seen(manager.socket));
      await client.register(testOwner(5_000_001));
      await assert.rejects(client.acquire("", `${place.directory}/h`), /is locked/);
    }
    assert.doesNotMatch(manager.log, /LOST|in doubt|has left a journal|was free/);
  });

  runTest(
    `without a store a daemon serves in a full /run, and so does the next; ${free} pages were free`,
    async () => {
      using run = new SmallRun(SIZE);
      using place = run.place;
      const leases = place.makeDirectory("leases");
      run.fill(free);
      for (const left of [0, 1, 2]) {
        await using daemon = await Daemon.start({ place });
        await using client = await LockClient.connect(run.seen(daemon.socket));
        await client.register(testOwner(5_000_001));
        await client.createLockspace(leases);
        await client.acquire(leases, `r${left}`, ACQUIRE_AUTOCREATE);
        assert.deepEqual(lockOn(`${leases}/r${left}`), HELD);
        const none =
          /No journal, a crash would lose the locks: pwrite journal: No space left on device \(ENOSPC\)/;
        if (free < 36) assert.match(daemon.log.text, none);
        else assert.doesNotMatch(daemon.log.text, none);
        assert.deepEqual(run.journalFiles, free < 36 ? [] : ["journal"]);
        await daemon.kill();
        run.fill(left);
      }
      run.empty();
      await using daemon = await Daemon.start({ place });
      await using client = await LockClient.connect(run.seen(daemon.socket));
      await client.register(testOwner(5_000_001));
      assert.deepEqual(run.journalFiles, ["journal"]);
      assert.doesNotMatch(daemon.log.text, /No journal/);
    },
  );
}

runTest("the next daemon in a full /run takes again what the journal says", async () => {
  using run = new SmallRun(SIZE);
  using place = run.place;
  Deno.writeTextFileSync(`${place.directory}/h`, "");
  await using first = await Daemon.start({ place });
  await using holder = await holderOf(first);
  for (const left of [0, 1, 2]) {
    run.fill(left);
    await first.kill();
    await using next = await Daemon.start({ place });
    assert.deepEqual(lockOn(`${place.directory}/h`), HELD);
    await next.log.match(
      new RegExp(`of domain 'guest-${holder.pid}' .* ended with the daemon: it is taken again`),
    );
    await next.kill();
  }
});

runTest(
  "a journal that finds no more room is said, and every lock outlives kill -9 all the same",
  async () => {
    using run = new SmallRun(SIZE);
    const { place } = run;
    // Long names make a long journal.
    const deep = `${place.directory}/${Array(14).fill("d".repeat(200)).join("/")}`;
    Deno.mkdirSync(deep, { recursive: true });
    const disks = Array.from({ length: 150 }, (_, index) => `${deep}/${index}`);
    for (const disk of disks) Deno.writeTextFileSync(disk, "");
    const held = () => disks.filter((disk) => lockOn(disk).mode === "exclusive").length;
    await using manager = await ServiceManager.start({ place });
    await using holder = await Holder.start(manager);
    run.fill(0);
    for (const disk of disks) await holder.acquire("", disk);
    assert.match(
      manager.log,
      /error : .*The journal cannot be written, a crash would lose what happens now: pwrite journal: No space left/,
    );
    assert.equal(held(), 150);
    await manager.crash();
    assert.equal(held(), 150);
    // Nothing happens meanwhile but that there is room.
    run.empty();
    await until("the journal", () => manager.log.includes("The journal works again"));
    await manager.crash();
    assert.equal(held(), 150);
    assert.ok(holder.running);
  },
);

runTest("a live upgrade in a full /run is refused, and the daemon goes on with every lock", async () => {
  using run = new SmallRun(SIZE);
  const { place } = run;
  Deno.writeTextFileSync(`${place.directory}/h`, "");
  await using manager = await ServiceManager.start({ place });
  await using _holder = await holderOf(manager);
  const { pid } = manager;
  run.fill(0);
  Deno.kill(pid, "SIGUSR1");
  const refused =
    /error : .*: Re-exec of .* given up, everything goes on as before: write .*: No space left on device/;
  await until("refusal", () => refused.test(manager.log));
  assert.deepEqual([lockOn(`${place.directory}/h`), manager.pid, manager.ends], [HELD, pid, 0]);
  run.empty();
  await manager.reExec();
  assert.deepEqual([lockOn(`${place.directory}/h`), manager.pid, manager.ends], [HELD, pid, 0]);
  await manager.crash();
  assert.deepEqual(lockOn(`${place.directory}/h`), HELD);
});

runTest(
  "what an earlier version has left of a journal in a full /run keeps no daemon from beginning",
  async () => {
    using run = new SmallRun(SIZE);
    using place = run.place;
    const directory = run.seen(place.paths.journalDir);
    for (const pages of [1, 20, 32]) {
      run.empty();
      Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
      Deno.writeFileSync(`${directory}/journal`, new Uint8Array(pages * 4096));
      Deno.writeFileSync(`${directory}/journal.new`, new Uint8Array(4096));
      // The place of the PID file.
      run.fill(1);
      await using daemon = await Daemon.start({ place, args: ["-v"] });
      await daemon.log.match(/is the beginning of one that was never finished: nothing was recorded in it/);
      await daemon.log.match(/No journal, a crash would lose the locks: pwrite journal: No space left/);
      assert.deepEqual(run.journalFiles, []);
      await daemon.kill();
    }
  },
);
