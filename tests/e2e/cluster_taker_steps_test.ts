import assert from "node:assert/strict";
import {
  assertNothingLeft,
  fileOf,
  killedAtEveryStep,
  untilOn,
  withStage,
} from "../support/cluster_crash_stage.ts";
import { THOROUGH } from "../support/every_step.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { PlayedGuest } from "../support/played_guest.ts";
import { holderOf } from "../support/played_host.ts";

// The daemon of a cluster that takes a lock over from another host is killed at each of its system calls.
// Guests end here, so it stands among the end-to-end tests: a QEMU of another test's would keep their locks.

/** CI has seconds for these: the same domain takes the same steps, but for who is asked. */
const TAKERS = THOROUGH ? ["another domain", "the same domain"] as const : ["another domain"] as const;

for (const whose of TAKERS) {
  Deno.test(`a lock of another host's paused guest that ${whose} takes over is had by one guest, whenever the taker's daemon is killed`, async () => {
    await withStage(async (stage) => {
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
    });
  });
}
