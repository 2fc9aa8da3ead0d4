import assert from "node:assert/strict";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { encodeRecord } from "../../src/lockd/cluster/keys/records.ts";
import type { PlayedEtcd } from "../cluster_model/played_etcd.ts";
import {
  assertHeld,
  assertNothingLeft,
  fileOf,
  killedAtEveryStep,
  type Stage,
  untilOn,
  withStage,
} from "../support/cluster_crash_stage.ts";
import { THOROUGH } from "../support/thorough.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { PlayedGuest } from "../support/played_guest.ts";
import { holderOf, keysOf } from "../support/played_host.ts";
import { until } from "../support/until.ts";

// The daemon of a cluster that takes what another host had is killed at each of its system calls, and so is
// one that puts what it has into an etcd that has lost it. Guests end here, so it stands among the end-to-end
// tests: a QEMU of another test's would keep their locks.

/** ACQUIRE_RESOURCE's flag. */
const SHARED = 1;
const KEYS = new ClusterKeys("test");
/** CI has seconds for these: the same domain takes the same steps, but for who is asked. */
const TAKERS = THOROUGH ? ["another domain", "the same domain"] as const : ["another domain"] as const;

/** What a host had that was fenced by a command that was ended before it freed anything. */
function putFencedHost(
  etcd: PlayedEtcd,
  host: string,
  disks: { readonly alone: string; readonly shared: string },
) {
  const session = `session-of-${host}`;
  const fencing = { state: "fenced", by: "root", from: "admin", at: 1 } as const;
  etcd.put(KEYS.session(session), encodeRecord({ host, name: host, boot: "gone", nonce: "last", fencing }));
  const guest = { domain: host, uuid: crypto.randomUUID(), pid: 1, start: 1, since: 1 };
  const value = encodeRecord({ session, attempt: "only", ...guest });
  for (const [disk, shared] of [[disks.alone, false], [disks.shared, true]] as const) {
    const key = KEYS.lock({ space: "scsi", name: disk }, shared, session);
    etcd.put(key, value);
    etcd.put(KEYS.own(session, key), value);
  }
}

/** What a guest is answered when its host has heard that the cluster is open again. */
async function openAnswer(guest: PlayedGuest, disk: string): Promise<string> {
  return await until("its host to lock again", async () => {
    const answer = await guest.acquire(disk);
    return answer.includes("the cluster is being recovered") ? undefined : answer;
  });
}

async function takenFromPaused(stage: Stage, whose: typeof TAKERS[number]): Promise<void> {
  const { etcd, a, b } = stage;
  const disks = ["disk1", "disk2"];
  let paused: PlayedGuest;
  let taker: PlayedGuest;
  await killedAtEveryStep(stage, {
    steps: { samples: 1 },
    before: async () => {
      paused = await PlayedGuest.start(b);
      taker = await PlayedGuest.start(a, whose === "another domain" ? undefined : paused.owner);
      for (const disk of disks) assert.equal(await paused.acquire(disk), "granted");
      for (const disk of disks) assert.equal(await paused.release(disk), "released");
    },
    act: async () => {
      assert.equal(await taker.acquire("disk1"), "granted");
      assert.equal(holderOf(etcd, "disk1"), taker.pid);
    },
    after: async () => {
      assert.equal(lockOn(fileOf(a, "disk1")).mode, "exclusive");
      await untilOn(stage, "the first to have it no more", () => isFree(fileOf(b, "disk1")));
      if (whose === "another domain") {
        assert.equal(lockOn(fileOf(b, "disk2")).mode, "exclusive");
        assert.equal(holderOf(etcd, "disk2"), paused.pid);
        assert.match(
          await paused.acquire("disk1"),
          new RegExp(`is locked by domain '${taker.owner.name}' .* on host '`),
        );
      } else assert.equal(await taker.acquire("disk2"), "granted");
      a.links.deliverLate();
      assert.equal(holderOf(etcd, "disk1"), taker.pid);
      await taker[Symbol.asyncDispose]();
      await untilOn(stage, "the lock to go", () => holderOf(etcd, "disk1") === undefined);
      assert.match(
        await paused.acquire("disk1"),
        new RegExp(`was in use by domain '${taker.owner.name}' .* on host '.*' while domain`),
      );
      await paused[Symbol.asyncDispose]();
      await assertNothingLeft(stage, ...disks);
    },
  });
}

async function takenFromFenced(stage: Stage): Promise<void> {
  const { etcd, a, b } = stage;
  await using rival = await PlayedGuest.start(b);
  let guest: PlayedGuest;
  let dead = 0;
  await killedAtEveryStep(stage, {
    steps: { samples: 1 },
    before: async () => {
      putFencedHost(etcd, `dead-${++dead}`, { alone: "disk", shared: "shared" });
      guest = await PlayedGuest.start(a);
    },
    act: async () => {
      for (const disk of ["disk", "shared"]) assert.equal(await guest.acquire(disk), "granted");
    },
    after: async () => {
      for (const disk of ["disk", "shared"]) await assertHeld(stage, disk, guest, rival);
      a.links.deliverLate();
      assert.deepEqual(keysOf(etcd).filter((key) => !key.startsWith("own/")), [
        "lock/scsi/disk",
        "lock/scsi/shared",
      ]);
      assert.equal(keysOf(etcd).length, 4);
      await guest[Symbol.asyncDispose]();
      await assertNothingLeft(stage, "disk", "shared");
    },
  });
}

/** The daemon of a migration's target is killed when etcd has granted what it took, and its guest with it. */
async function targetThatNeverRan(stage: Stage): Promise<void> {
  const { etcd, a, b } = stage;
  await using source = await PlayedGuest.start(b);
  await using target = await PlayedGuest.start(a, source.owner);
  assert.equal(await source.acquire("disk"), "granted");
  assert.equal(await source.release("disk"), "released");
  a.links.unheard = () => holderOf(etcd, "disk") === target.pid;
  const asked = target.acquire("disk").catch(() => "its connection has ended");
  await untilOn(stage, "etcd to have granted it", () => holderOf(etcd, "disk") === target.pid);
  await a.manager.kill();
  await target.disconnect();
  assert.equal(await asked, "its connection has ended");
  a.links.unheard = () => false;
  await a.manager.start();
  // Of a process that was gone before nobody could tell, for a QEMU of others, whether all is written.
  const kept = `pid ${target.pid}), of which this daemon knows nothing: `;
  await untilOn(stage, "the next daemon to find it", () => a.manager.log.includes(kept));
  await target.kill();
  await untilOn(stage, "the lock to go", () => holderOf(etcd, "disk") === undefined);
  assert.equal(await source.acquire("disk"), "granted");
  assert.equal(holderOf(etcd, "disk"), source.pid);
  assert.equal(lockOn(fileOf(b, "disk")).mode, "exclusive");
  await source[Symbol.asyncDispose]();
  await assertNothingLeft(stage, "disk");
}

Deno.test("what a daemon takes from another host is had by one guest, whenever it is killed", async (t) => {
  await withStage(async (stage) => {
    for (const whose of TAKERS) {
      await t.step(`from a paused guest, for ${whose}`, () => takenFromPaused(stage, whose));
    }
    await t.step("from a host that was fenced", () => takenFromFenced(stage));
    await t.step(
      "the source of a migration goes on whose target's daemon was killed before it had granted the disk",
      () => targetThatNeverRan(stage),
    );
  });
});

Deno.test("what guests have is put into an etcd that has lost it, and nobody else gets it, whenever the daemon is killed", async () => {
  await withStage(async (stage) => {
    const { etcd, a, b } = stage;
    const disks = ["held", "paused", "shared", "elsewhere"];
    let onA: PlayedGuest;
    let onB: PlayedGuest;
    let nextA: PlayedGuest;
    let nextB: PlayedGuest;
    await killedAtEveryStep(stage, {
      steps: { samples: 1 },
      before: async () => {
        onA = await PlayedGuest.start(a);
        onB = await PlayedGuest.start(b);
        nextA = await PlayedGuest.start(a);
        nextB = await PlayedGuest.start(b);
        assert.equal(await onA.acquire("held"), "granted");
        assert.equal(await onA.acquire("shared", SHARED), "granted");
        assert.equal(await onA.acquire("paused"), "granted");
        assert.equal(await onA.release("paused"), "released");
        assert.equal(await onB.acquire("elsewhere"), "granted");
      },
      act: async () => {
        etcd.restore({ keys: new Map(), revision: 1 }, true);
        const asked = [nextA.acquire("elsewhere"), nextB.acquire("held"), nextB.acquire("shared")];
        await untilOn(stage, "a host to notice", () => etcd.get(KEYS.meta) !== undefined);
        const recovered = await a.command("recover", "--expect", "a,b", "--wait", "120");
        assert.deepEqual([recovered.code, recovered.stdout], [0, "The cluster is open again.\n"]);
        for (const answer of await Promise.all(asked)) assert.notEqual(answer, "granted");
      },
      after: async () => {
        assert.match(await openAnswer(nextB, "shared"), /that share it/);
        assert.match(
          await openAnswer(nextA, "elsewhere"),
          new RegExp(`is locked by domain '${onB.owner.name}' .* on host '`),
        );
        await assertHeld(stage, "held", onA, nextB);
        assert.equal(lockOn(fileOf(a, "shared")).mode, "shared");
        assert.equal(lockOn(fileOf(b, "elsewhere")).mode, "exclusive");
        assert.equal(holderOf(etcd, "elsewhere"), onB.pid);
        assert.equal(await onA.acquire("paused"), "granted");
        await assertHeld(stage, "paused", onA, nextB);
        a.links.deliverLate();
        const session = keysOf(etcd).find((key) => key.startsWith("share/"))?.split("/").at(-1);
        assert.deepEqual(keysOf(etcd).filter((key) => !key.startsWith("own/")), [
          "lock/scsi/elsewhere",
          "lock/scsi/held",
          "lock/scsi/paused",
          `share/scsi/shared/${session}`,
        ]);
        assert.equal(keysOf(etcd).length, 8);
        for (const guest of [onA, onB, nextA, nextB]) await guest[Symbol.asyncDispose]();
        await assertNothingLeft(stage, ...disks);
      },
    });
  });
});
