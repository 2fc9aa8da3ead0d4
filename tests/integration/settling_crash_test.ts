import assert from "node:assert/strict";
import { F_RDLCK, O_RDWR } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import { LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { isFree, kernel } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { Place } from "../support/place.ts";
import { RawClient } from "../support/raw_client.ts";
import { assertRefused } from "../support/refusal.ts";
import { safeParent } from "../support/safe_directory.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { Unowned } from "../support/unowned.ts";
import { until } from "../support/until.ts";

// A daemon that is killed, restarted or executes itself anew while locks wait for the last writes of holders
// that have ended, and others for these locks.

const OTHER = testOwner(5_000_002, "other");
const TURNS = ["crash", "restart", "reExec"] as const;

async function shown(place: Place): Promise<LockEntry[]> {
  const { stdout } = await Daemon.run({ args: ["locks", "--json"], place });
  return JSON.parse(stdout);
}

/** A write to a file that no process has any more. */
function writeTo(path: string): Unowned {
  const fd = must(kernel.open(path, O_RDWR, 0), "open", path);
  must(kernel.ofdLock(fd, F_RDLCK, 100, 2), "lock", path);
  return Unowned.take(fd);
}

for (const turn of TURNS) {
  Deno.test(`a lock that waits for last writes, and who waits for it, outlive a ${turn}`, async () => {
    const place = Place.create();
    // Nothing is given up, however slow this machine is.
    place.writeConfig("settle_timeout = 3600\nstorage_timeout = 3600\n");
    await using manager = await ServiceManager.start({ place, args: ["-v"] });
    const disk = `${place.directory}/disk`;
    Deno.writeTextFileSync(disk, "data");
    await using holder = await Holder.start(manager);
    await holder.acquire("", disk);
    using waiting = RawClient.connect(manager.socket);
    waiting.request(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner: OTHER, flags: 0 }));
    const state = async () => (await shown(place)).map(({ state }) => state).join();
    const ask = () =>
      waiting.ask(
        LockProcedure.ACQUIRE_RESOURCE,
        (writer) => encodeResource(writer, { path: "", name: disk, flags: 0 }),
      );
    let answer: ReturnType<typeof ask>;
    {
      using _write = writeTo(disk);
      await holder.kill();
      await until("the lock to wait", async () => await state() === "settling");
      answer = ask();
      for (let time = 0; time < 2; time++) {
        await manager[turn]();
        await until("the lock to wait again", async () => await state() === "settling");
        if (turn === "restart") {
          // An end that was asked for waits for nobody.
          assert.match(answer()?.message ?? "", /its process is gone, but the lock stays because/);
          answer = ask();
        }
        assert.equal(waiting.quiet, true);
        assert.equal(isFree(disk), false);
      }
    }
    assert.equal(answer(), undefined);
    assert.equal(await state(), "held");
    assert.deepEqual((await shown(place)).flatMap(({ holders }) => holders.map(({ pid }) => pid)), [
      OTHER.pid,
    ]);
  });
}

Deno.test("a lock of a holder that ended while no daemon ran waits for last writes over every end of the next ones", async () => {
  const place = Place.create();
  place.writeConfig("settle_timeout = 3600\nstorage_timeout = 3600\n");
  await using manager = await ServiceManager.start({ place, args: ["-v"] });
  const disk = `${place.directory}/disk`;
  Deno.writeTextFileSync(disk, "data");
  await using holder = await Holder.start(manager);
  await holder.acquire("", disk);
  const states = async () => (await shown(place)).map(({ state }) => state).join();
  {
    using _write = writeTo(disk);
    Deno.kill(manager.pid, "SIGSTOP");
    await holder.kill();
    for (const turn of ["crash", ...TURNS, ...TURNS] as const) {
      await manager[turn]();
      await until(`the lock to wait after a ${turn}`, async () => await states() === "settling");
      const processes = (await shown(place)).flatMap(({ holders }) => holders.map(({ process }) => process));
      assert.deepEqual(processes, ["ended"]);
      assert.equal(isFree(disk), false);
    }
  }
  await until("the lock to go", async () => await states() === "");
  assert.equal(isFree(disk), true);
});

const ADOPTED =
  "a lock directory that was adopted stays one in which no file is made, whatever happens to the daemon";

// Nothing is adopted where others may write a directory on the way.
Deno.test({ name: ADOPTED, ignore: safeParent() === undefined }, async () => {
  const place = Place.create(safeParent());
  await using manager = await ServiceManager.start({ place, args: ["-v"] });
  const leases = place.makeDirectory("leases");
  Deno.chmodSync(leases, 0o755);
  Deno.writeTextFileSync(`${leases}/there`, "");
  await using client = await LockClient.connect(manager.socket);
  await client.register(OTHER);
  await client.acquire(leases, "there");
  const refusal = /is not made in .*, which nobody has registered/;
  await assertRefused(client.createResource(leases, "new"), refusal);
  for (const turn of TURNS) {
    await manager[turn]();
    await assertRefused(client.createResource(leases, "new"), refusal);
    await client.release(leases, "there");
    await manager[turn]();
    await assertRefused(client.createResource(leases, "new"), refusal);
    await client.acquire(leases, "there");
  }
  await client.createLockspace(leases);
  await client.createResource(leases, "new");
});
