import assert from "node:assert/strict";
import {
  assertHeld,
  assertNothingLeft,
  fileOf,
  killedAtEveryStep,
  untilOn,
  withStage,
} from "../support/cluster_crash_stage.ts";
import { atEachStep, type Killed } from "../support/every_step.ts";
import { THOROUGH } from "../support/thorough.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { PlayedGuest } from "../support/played_guest.ts";
import { holderOf, keysOf } from "../support/played_host.ts";
import type { Cut } from "../support/played_link.ts";
import { until } from "../support/until.ts";

// A daemon of a cluster is killed at each of its system calls, and its link with etcd at each message. Guests
// end here, so it stands among the end-to-end tests: a QEMU of another test's would keep their locks.

/** ACQUIRE_RESOURCE's flag. */
const SHARED = 1;
const CUTS: readonly Cut[] = THOROUGH ? ["unasked", "late", "unanswered", "answered"] : ["unanswered"];

Deno.test("a lock that a daemon is killed in acquiring is granted once, and had by one host", async () => {
  await withStage(async (stage) => {
    const { etcd, a, b } = stage;
    await using rival = await PlayedGuest.start(b);
    let guest: PlayedGuest;
    await killedAtEveryStep(stage, {
      steps: { samples: 2 },
      before: async () => {
        guest = await PlayedGuest.start(a);
      },
      act: async () => {
        assert.equal(await guest.acquire("disk"), "granted");
        assert.equal(holderOf(etcd, "disk"), guest.pid);
      },
      after: async () => {
        await assertHeld(stage, "disk", guest, rival);
        assert.equal(keysOf(etcd).length, 2);
        await guest[Symbol.asyncDispose]();
        await assertNothingLeft(stage, "disk");
      },
    });
  });
});

Deno.test("of two hosts that ask for one lock one gets it, whenever the daemon of one is killed", async () => {
  await withStage(async (stage) => {
    const { etcd, a, b } = stage;
    let guests: PlayedGuest[] = [];
    let answers: string[] = [];
    await killedAtEveryStep(stage, {
      steps: { samples: 2 },
      before: async () => {
        guests = [await PlayedGuest.start(a), await PlayedGuest.start(b)];
      },
      act: async () => {
        answers = await Promise.all(guests.map((guest) => guest.acquire("disk")));
      },
      after: async () => {
        const winners = guests.filter((_, index) => answers[index] === "granted");
        assert.deepEqual(winners.map(({ pid }) => pid), [holderOf(etcd, "disk")], answers.join("; "));
        const [first, second] = winners[0] === guests[0] ? [a, b] : [b, a];
        assert.equal(lockOn(fileOf(first, "disk")).mode, "exclusive");
        await untilOn(stage, "the other to have none", () => isFree(fileOf(second, "disk")));
        assert.equal(keysOf(etcd).length, 2);
        for (const guest of guests) await guest[Symbol.asyncDispose]();
        await assertNothingLeft(stage, "disk");
      },
    });
  });
});

for (const whose of ["another domain", "the same domain"]) {
  Deno.test(`locks of a paused guest that go to ${whose} on another host are had by one guest, whenever the daemon is killed`, async () => {
    await withStage(async (stage) => {
      const { etcd, a, b } = stage;
      const disks = ["disk1", "disk2"];
      let guest: PlayedGuest;
      let other: PlayedGuest;
      await killedAtEveryStep(stage, {
        steps: { samples: 1 },
        before: async () => {
          guest = await PlayedGuest.start(a);
          other = await PlayedGuest.start(b, whose === "another domain" ? undefined : guest.owner);
          for (const disk of disks) assert.equal(await guest.acquire(disk), "granted");
        },
        act: async () => {
          for (const disk of disks) assert.equal(await guest.release(disk), "released");
          assert.equal(await other.acquire("disk1"), "granted");
          assert.equal(holderOf(etcd, "disk1"), other.pid);
        },
        after: async () => {
          if (whose === "another domain") {
            assert.equal(lockOn(fileOf(a, "disk2")).mode, "exclusive");
            assert.equal(holderOf(etcd, "disk2"), guest.pid);
            assert.match(await guest.acquire("disk1"), /is locked by domain '.*' .* on host '/);
          } else assert.equal(await other.acquire("disk2"), "granted");
          assert.equal(holderOf(etcd, "disk1"), other.pid);
          await untilOn(stage, "the first to have it no more", () => isFree(fileOf(a, "disk1")));
          await other[Symbol.asyncDispose]();
          await untilOn(stage, "the lock to go", () => holderOf(etcd, "disk1") === undefined);
          assert.match(
            await guest.acquire("disk1"),
            /was in use by domain '.*' .* on host '.*' while domain/,
          );
          await guest[Symbol.asyncDispose]();
          await assertNothingLeft(stage, ...disks);
        },
      });
    });
  });
}

Deno.test("a share that a daemon is killed in taking is had in the kernel and in etcd, and goes with its guest", async () => {
  await withStage(async (stage) => {
    const { etcd, a, b } = stage;
    await using rival = await PlayedGuest.start(b);
    let guest: PlayedGuest;
    await killedAtEveryStep(stage, {
      steps: { samples: 3 },
      before: async () => {
        guest = await PlayedGuest.start(a);
      },
      act: async () => {
        assert.equal(await guest.acquire("disk", SHARED), "granted");
      },
      after: async () => {
        assert.match(
          await rival.acquire("disk"),
          new RegExp(`by guests of host '.*' that share it, at first domain '${guest.owner.name}'`),
        );
        assert.equal(lockOn(fileOf(a, "disk")).mode, "shared");
        assert.deepEqual(keysOf(etcd).map((key) => key.slice(0, key.indexOf("/"))), ["own", "share"]);
        await guest[Symbol.asyncDispose]();
        await assertNothingLeft(stage, "disk");
      },
    });
  });
});

Deno.test("a share of a guest that is killed with its daemon, in taking it, is nobody's, and no person has to free it", async () => {
  await withStage(async (stage) => {
    const { a, b } = stage;
    let guest: PlayedGuest;
    await killedAtEveryStep(stage, {
      steps: { samples: 3 },
      before: async () => {
        guest = await PlayedGuest.start(a);
      },
      act: async () => {
        const asked = guest.acquire("disk", SHARED).catch(() => "its connection has ended");
        await until("the daemon's end, or an answer", () => a.manager.struck || !isFree(fileOf(a, "disk")));
        await guest[Symbol.asyncDispose]();
        await asked;
      },
      after: async () => {
        await assertNothingLeft(stage, "disk");
        await using next = await PlayedGuest.start(b);
        assert.equal(await next.acquire("disk"), "granted");
        await next[Symbol.asyncDispose]();
        await assertNothingLeft(stage, "disk");
      },
    });
  });
});

Deno.test("a share is a host's until its last guest has ended, whenever the daemon is killed", async () => {
  await withStage(async (stage) => {
    const { etcd, a, b } = stage;
    const shares = () => keysOf(etcd).filter((key) => key.startsWith("share/")).length;
    let first: PlayedGuest;
    let second: PlayedGuest;
    let elsewhere: PlayedGuest;
    await killedAtEveryStep(stage, {
      steps: { samples: 1 },
      before: async () => {
        first = await PlayedGuest.start(a);
        second = await PlayedGuest.start(a);
        elsewhere = await PlayedGuest.start(b);
        assert.equal(await first.acquire("disk", SHARED), "granted");
        assert.equal(await elsewhere.acquire("disk", SHARED), "granted");
      },
      act: async () => {
        assert.equal(await second.acquire("disk", SHARED), "granted");
        await first.kill();
        await stage.beside.roundTrip();
        assert.equal(shares(), 2);
        await second.kill();
        await untilOn(stage, "the host's share to go", () => shares() === 1);
      },
      after: async () => {
        await untilOn(stage, "its lock to go", () => isFree(fileOf(a, "disk")));
        assert.equal(lockOn(fileOf(b, "disk")).mode, "shared");
        for (const guest of [first, second, elsewhere]) await guest[Symbol.asyncDispose]();
        await assertNothingLeft(stage, "disk");
      },
    });
  });
});

Deno.test("the lock of a guest that ends goes once, and another host has it then, whenever the daemon is killed", async () => {
  await withStage(async (stage) => {
    const { etcd, a, b } = stage;
    let guest: PlayedGuest;
    await killedAtEveryStep(stage, {
      steps: { samples: 1 },
      before: async () => {
        guest = await PlayedGuest.start(a);
        assert.equal(await guest.acquire("disk"), "granted");
      },
      act: async () => {
        await guest.kill();
        await untilOn(stage, "the lock to go", () => keysOf(etcd).length === 0 && isFree(fileOf(a, "disk")));
      },
      after: async () => {
        await using next = await PlayedGuest.start(b);
        assert.equal(await next.acquire("disk"), "granted");
        a.links.deliverLate();
        assert.equal(holderOf(etcd, "disk"), next.pid);
        await guest[Symbol.asyncDispose]();
        await next[Symbol.asyncDispose]();
        await assertNothingLeft(stage, "disk");
      },
    });
  });
});

Deno.test("a re-exec that is killed anywhere keeps the cluster's locks, and grants what is asked for meanwhile", async () => {
  await withStage(async (stage) => {
    const { etcd, a, b } = stage;
    await using guest = await PlayedGuest.start(a);
    await using rival = await PlayedGuest.start(b);
    assert.equal(await guest.acquire("held"), "granted");
    assert.equal(await guest.acquire("shared", SHARED), "granted");
    assert.equal(await guest.acquire("paused"), "granted");
    const before = keysOf(etcd);
    let asking: PlayedGuest;
    await killedAtEveryStep(stage, {
      steps: { samples: 1 },
      before: async () => {
        assert.equal(await guest.release("paused"), "released");
        asking = await PlayedGuest.start(a);
      },
      act: async () => {
        const [answer] = await Promise.all([asking.acquire("disk"), a.manager.reExec()]);
        assert.equal(answer, "granted");
        assert.equal(holderOf(etcd, "disk"), asking.pid);
      },
      after: async () => {
        assert.equal(await guest.acquire("paused"), "granted");
        for (const disk of ["held", "paused"]) await assertHeld(stage, disk, guest, rival);
        assert.match(await rival.acquire("shared"), /that share it/);
        await assertHeld(stage, "disk", asking, rival);
        await asking[Symbol.asyncDispose]();
        await untilOn(stage, "its lock to go", () => keysOf(etcd).length === before.length);
        a.links.deliverLate();
        assert.deepEqual(keysOf(etcd), before);
      },
    });
  });
});

Deno.test("a link that is killed with any question of an acquire, a hand-over or a guest's end loses no lock and leaves none", async () => {
  await withStage(async (stage) => {
    const { etcd, a, b } = stage;
    await using rival = await PlayedGuest.start(b);
    const cutAtEach = async (where: Cut, { before, act, after }: Omit<Killed, "steps">) => {
      return await atEachStep(1, async (step) => {
        await before?.();
        a.links.cutAt(step, where);
        await act();
        const struck = a.links.uncut();
        await after();
        return struck;
      });
    };
    let guest: PlayedGuest;
    const start = async () => {
      guest = await PlayedGuest.start(a);
    };
    const held = async () => {
      await start();
      assert.equal(await guest.acquire("disk"), "granted");
    };
    const end = async () => {
      await guest[Symbol.asyncDispose]();
      await assertNothingLeft(stage, "disk");
    };
    for (const where of CUTS) {
      const acquire = async () => assert.equal(await guest.acquire("disk"), "granted");
      const acquired = async () => {
        await assertHeld(stage, "disk", guest, rival);
        await end();
      };
      assert.ok(await cutAtEach(where, { before: start, act: acquire, after: acquired }) >= 1);
      const gone = async () => {
        await guest.kill();
        await untilOn(stage, "the lock to go", () => keysOf(etcd).length === 0 && isFree(fileOf(a, "disk")));
      };
      assert.ok(await cutAtEach(where, { before: held, act: gone, after: end }) >= 1);
      let other: PlayedGuest;
      const handOver = async () => {
        assert.equal(await guest.release("disk"), "released");
        other = await PlayedGuest.start(b);
        assert.equal(await other.acquire("disk"), "granted");
        assert.equal(holderOf(etcd, "disk"), other.pid);
      };
      const handedOver = async () => {
        await untilOn(stage, "the first to have it no more", () => isFree(fileOf(a, "disk")));
        await other[Symbol.asyncDispose]();
        await untilOn(stage, "the lock to go", () => holderOf(etcd, "disk") === undefined);
        assert.match(await guest.acquire("disk"), /was in use by domain '.*' .* on host '.*' while domain/);
        await end();
      };
      assert.ok(await cutAtEach(where, { before: held, act: handOver, after: handedOver }) >= 1);
    }
  });
});
