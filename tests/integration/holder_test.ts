import assert from "node:assert/strict";
import type { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { ACQUIRE_AUTOCREATE, ACQUIRE_SHARED, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { heldUp } from "../support/held_up.ts";
import { Holder } from "../support/holder.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { isAlive } from "../support/process_usage.ts";
import { RawClient } from "../support/raw_client.ts";
import { outcome } from "../support/refusal.ts";
import { until } from "../support/until.ts";

function makeDisk(daemon: Daemon, name = "disk"): string {
  const path = `${daemon.place.directory}/${name}`;
  Deno.writeTextFileSync(path, "");
  return path;
}

/**
 * Leaves a holder of a disk behind that outlives its connection, and makes requests until it is killed.
 *
 * @returns how many were answered while it lived; 0 also where this process stood still for so long
 */
async function outlive(daemon: Daemon, disk: string, other: LockClient): Promise<number> {
  await using holder = await Holder.start(daemon);
  await holder.acquire("", disk);
  await holder.ignoreTermination();
  const start = performance.now();
  await holder.disconnect();
  await daemon.log.match(
    new RegExp(`warning : .*Killing domain .* pid ${holder.pid}\\): .* 1 resource .* Sent SIGTERM`),
  );
  // While it lives its disk is locked, and everybody else is served.
  let served = 0;
  for (; served < 50; served++) {
    await other.createLockspace("");
    const lock = lockOn(disk);
    // Asked after the lock, and of the kernel: what was seen then was so while it lived.
    if (!isAlive(holder.pid)) break;
    assert.deepEqual(lock, { mode: "exclusive", pid: -1 });
  }
  // Who asks now waits for its end.
  const asked = outcome(other.acquire("", disk));
  assert.equal(await holder.endedBy(), "SIGKILL");
  const took = performance.now() - start;
  // It had the time that it is given; a busy machine may add to that.
  assert.ok(took >= 1590, `it took ${took} ms`);
  assert.equal(await asked, "");
  await daemon.log.match(
    new RegExp(`warning : .*Killed domain .* pid ${holder.pid}\\): its process is gone`),
  );
  await other.release("", disk);
  return served;
}

Deno.test("a holder that outlives its connection is killed before its locks are freed, and others are served", async () => {
  await using daemon = await Daemon.start();
  const disk = makeDisk(daemon);
  await using other = await LockClient.connect(daemon.socket);
  await other.register(testOwner(5_000_001));
  let served = 0;
  for (let holders = 0; holders < 5 && served === 0; holders++) served = await outlive(daemon, disk, other);
  assert.ok(served > 0, "nobody was served until the holder was gone");
});

/** When a daemon has said that it has sent a signal, in ms; undefined when it has not. */
function sentAt(daemon: Daemon, signal: string): number | undefined {
  const [, time] = new RegExp(`^(\\S+ \\S+): .*Sent ${signal}`, "m").exec(daemon.log.text) ?? [];
  return time === undefined ? undefined : Date.parse(time.replace(" ", "T").replace("+0000", "Z"));
}

/** A holder that ends at SIGTERM is sent nothing else, unless it stands still for the time that it has. */
async function assertEndedByTermination(daemon: Daemon, holder: Holder): Promise<void> {
  const signal = await holder.endedBy();
  await daemon.log.match(/Sent SIGTERM/);
  if (signal === "SIGTERM") return assert.equal(sentAt(daemon, "SIGKILL"), undefined);
  assert.equal(signal, "SIGKILL");
  await daemon.log.match(/Sent SIGKILL/);
  const took = (sentAt(daemon, "SIGKILL") ?? 0) - (sentAt(daemon, "SIGTERM") ?? 0);
  assert.ok(took >= 1590, `it took ${took} ms`);
}

Deno.test("a holder that ends at SIGTERM is not sent SIGKILL", async () => {
  await using daemon = await Daemon.start();
  const disk = makeDisk(daemon);
  await using holder = await Holder.start(daemon);
  await holder.acquire("", disk);
  await holder.disconnect();
  await assertEndedByTermination(daemon, holder);
  await until("the lock to be freed", () => isFree(disk));
});

Deno.test("a holder that is killed by others loses its locks and is not signalled", async () => {
  await using daemon = await Daemon.start({ args: ["-v"] });
  const disk = makeDisk(daemon);
  const leases = daemon.place.makeDirectory("leases");
  await using other = await LockClient.connect(daemon.socket);
  await other.createLockspace(leases);
  await using holder = await Holder.start(daemon);
  await holder.acquire("", disk);
  await holder.acquire(leases, "a", ACQUIRE_AUTOCREATE);
  await holder.acquire(leases, "b", ACQUIRE_AUTOCREATE | ACQUIRE_SHARED);
  await holder.kill();
  await daemon.log.match(
    new RegExp(`info : .*The process of domain .* pid ${holder.pid}\\) has ended: releasing 3 resources`),
  );
  await until("the lock to be freed", () => isFree(disk));
  await until("the leases to be unlinked", () => [...Deno.readDirSync(leases)].length === 0);
  assert.doesNotMatch(daemon.log.text, /SIGTERM|SIGKILL/);
});

Deno.test("a holder without locks is left alone when its connection ends", async () => {
  await using daemon = await Daemon.start({ env: { LIBVIRT_DEBUG: "1" } });
  await using holder = await Holder.start(daemon);
  await holder.disconnect();
  await daemon.log.match(new RegExp(`\\(pid ${holder.pid}\\) has gone`));
  await using other = await LockClient.connect(daemon.socket);
  await other.createLockspace("");
  assert.ok(holder.running);
  assert.doesNotMatch(daemon.log.text, /SIGTERM/);
});

Deno.test("a holder's locks that libvirtd took for it go with its connection, others' stay", async () => {
  await using daemon = await Daemon.start();
  const disk = makeDisk(daemon);
  const shared = makeDisk(daemon, "shared");
  await using holder = await Holder.start(daemon);
  await using libvirtd = await LockClient.connect(daemon.socket);
  await libvirtd.register(holder.owner);
  await libvirtd.acquire("", disk);
  await libvirtd.acquire("", shared, ACQUIRE_SHARED);
  await libvirtd.register(testOwner(5_000_001));
  await libvirtd.acquire("", shared, ACQUIRE_SHARED);
  await holder.kill();
  await until("the lock to be freed", () => isFree(disk));
  assert.deepEqual(lockOn(shared), { mode: "shared", pid: -1 });
  await libvirtd.release("", shared);
  assert.ok(isFree(shared));
});

Deno.test("nobody can release or take locks for a holder that is being killed", async () => {
  await using daemon = await Daemon.start();
  const disk = makeDisk(daemon);
  const second = makeDisk(daemon, "second");
  await using holder = await Holder.start(daemon);
  await holder.acquire("", disk);
  await holder.ignoreTermination();
  using libvirtd = RawClient.connect(daemon.socket);
  libvirtd.roundTrip();
  // Whoever was served last may be looked at first in the next turn: that is another one.
  using last = RawClient.connect(daemon.socket);
  last.roundTrip();
  const { REGISTER, RELEASE_RESOURCE, ACQUIRE_RESOURCE } = LockProcedure;
  const answers: (() => RpcFailure | undefined)[] = [];
  await heldUp(daemon, async () => {
    await holder.disconnected();
    const { owner } = holder;
    answers.push(libvirtd.ask(REGISTER, (writer) => encodeRegister(writer, { owner, flags: 0 })));
    for (const [procedure, name] of [[RELEASE_RESOURCE, disk], [ACQUIRE_RESOURCE, second]] as const) {
      answers.push(libvirtd.ask(procedure, (writer) => encodeResource(writer, { path: "", name, flags: 0 })));
    }
  });
  const [registered, ...refusals] = answers.map((answer) => answer());
  assert.equal(registered, undefined);
  const lock = lockOn(disk);
  // Asked after the lock: what was seen then was so while it lived.
  if (isAlive(holder.pid)) assert.deepEqual(lock, { mode: "exclusive", pid: -1 });
  assert.equal(refusals.length, 2);
  for (const refusal of refusals) {
    assert.deepEqual([refusal?.code, refusal?.domain], [87, 51]);
    assert.match(
      refusal?.message ?? "",
      new RegExp(` its owner, process ${holder.pid}, is being killed`),
    );
  }
  assert.equal(await holder.endedBy(), "SIGKILL");
  await until("the lock to be freed", () => isFree(disk));
});

Deno.test("a holder whose connection the administrator closes is killed", async () => {
  await using daemon = await Daemon.start();
  const disk = makeDisk(daemon);
  await using holder = await Holder.start(daemon);
  await holder.acquire("", disk);
  await using admin = await AdminClient.connect(daemon.adminSocket);
  const { items: [client] } = await admin.listClients("virtlockd");
  assert.ok(client !== undefined);
  await admin.clientClose(client);
  await assertEndedByTermination(daemon, holder);
  await daemon.log.match(
    new RegExp(
      `warning : .*An administrator closed the connection of domain '.*' \\(uuid .*, pid ${holder.pid}\\): ` +
        "the guest is killed if it holds a lock",
    ),
  );
  await until("the lock to be freed", () => isFree(disk));
});

Deno.test("many holders that end at once lose all their locks", async () => {
  await using daemon = await Daemon.start();
  const holders: Holder[] = [];
  try {
    for (let index = 0; index < 6; index++) {
      const holder = await Holder.start(daemon);
      holders.push(holder);
      await holder.acquire("", makeDisk(daemon, `disk-${index}`));
    }
    await Promise.all(holders.map((holder) => holder.kill()));
    for (let index = 0; index < 6; index++) {
      await until("a lock to be freed", () => isFree(`${daemon.place.directory}/disk-${index}`));
    }
  } finally {
    for (const holder of holders) await holder.kill();
  }
});
