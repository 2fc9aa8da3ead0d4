import assert from "node:assert/strict";
import type { Holding } from "../../../../src/lockd/lockspace/owner.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { Settler, type Verdict } from "../../../../src/lockd/lockspace/settler.ts";
import { fileHandle } from "../../../support/file_handle.ts";

const OVER: Verdict = { kind: "over" };
const BUSY: Verdict = { kind: "busy", reason: "it writes" };
const UNKNOWN: Verdict = { kind: "unknown", reason: "who knows" };

/** A settler with a clock of its own, whose witness answers what the test says. */
class World {
  now = 0;
  asked = 0;
  bound = 1000;
  unseen: string | undefined;
  hasNotRun = false;
  trustsNetworkDisks = false;
  readonly told: string[] = [];
  readonly #answers: (Verdict | "later")[];
  readonly #timers: { at: number; task: () => void }[] = [];
  #later: ((verdict: Verdict) => void) | undefined;
  readonly settler: Settler;

  constructor(...answers: (Verdict | "later")[]) {
    this.#answers = answers;
    this.settler = new Settler({
      witness: {
        ask: (_resource, _holding, done, unseen) => {
          this.asked++;
          this.unseen = unseen;
          const answer = this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0];
          if (answer === "later" || answer === undefined) this.#later = done;
          else done(answer);
        },
      },
      observer: {
        settling: ({ verdict, left }) => {
          // Only what nobody knows ends by itself, within the bound.
          assert.equal(
            left === undefined ? "busy" : left >= 0 && left <= this.bound,
            verdict?.kind === "busy" ? "busy" : true,
          );
          this.told.push(`settling ${verdict?.kind}`);
        },
        gaveUp: ({ verdict }) => this.told.push(`gave up ${verdict?.kind}`),
      },
      after: (milliseconds, task) => {
        this.#timers.push({ at: this.now + milliseconds, task });
        return { cancel: () => {} };
      },
      clock: () => this.now,
      bound: () => this.bound,
      hasNotRun: () => this.hasNotRun,
      trustsNetworkDisks: () => this.trustsNetworkDisks,
    });
  }

  settle(): void {
    this.settler.settle(RESOURCE, HOLDING, () => this.told.push(`over at ${this.now}`));
  }

  answer(verdict: Verdict): void {
    this.#later?.(verdict);
  }

  /** Lets time pass. */
  until(end: number): void {
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.now = next.at;
      next.task();
    }
    this.now = end;
  }
}

const HOLDING: Holding = { owner: { pid: 7, name: "guest", uuid: "u", id: 1 }, since: 0 };
const RESOURCE: Resource = {
  id: 1,
  lockspace: "",
  name: "/disk",
  path: "/disk",
  handle: fileHandle(9),
  shared: false,
  autocreate: false,
  holdings: [HOLDING],
  state: { kind: "held" },
};

Deno.test("Settler lets a lock go at once when the writes are over", () => {
  const world = new World(OVER);
  world.settle();
  assert.deepEqual([world.told, world.unseen], [["over at 0"], "anybody"]);
  assert.equal(world.asked, 1);
  assert.equal(world.settler.size, 0);
});

Deno.test("Settler keeps a lock as long as writes are under way, says so once, and asks ever more seldom", () => {
  const world = new World(BUSY);
  world.settle();
  assert.equal(world.settler.reasonOf(RESOURCE), "it writes");
  assert.deepEqual([world.settler.isWaitedFor(7), world.settler.isWaitedFor(8)], [true, false]);
  world.until(3_600_000);
  assert.deepEqual(world.told, ["settling busy"]);
  assert.equal(world.settler.size, 1);
  // 4, 8, 16 .. 128 ms, then every 250 ms.
  assert.equal(world.asked, 1 + 6 + Math.floor((3_600_000 - 252) / 250));
});

Deno.test("Settler does not tell what only the first look saw", () => {
  const world = new World(UNKNOWN, OVER);
  world.settle();
  assert.equal(world.settler.reasonOf(RESOURCE), "who knows");
  world.until(100);
  assert.deepEqual(world.told, ["over at 4"]);
});

Deno.test("Settler lets a lock go when its writes come to an end", () => {
  const world = new World(BUSY, BUSY, OVER);
  world.settle();
  world.until(100);
  assert.deepEqual(world.told, ["settling busy", "over at 12"]);
  assert.equal(world.settler.reasonOf(RESOURCE), undefined);
});

Deno.test("Settler gives a lock up at the bound when nobody can tell, and says so", () => {
  const world = new World(UNKNOWN);
  world.settle();
  world.until(999);
  assert.deepEqual(world.told, ["settling unknown"]);
  world.until(1500);
  assert.deepEqual(world.told, ["settling unknown", "gave up unknown", "over at 1002"]);
});

Deno.test("Settler does not give up at the bound what is known to be under way", () => {
  const world = new World(UNKNOWN, UNKNOWN, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, OVER);
  world.settle();
  world.until(10_000);
  assert.deepEqual(world.told, ["settling unknown", "settling busy", "over at 1752"]);
});

Deno.test("Settler gives nothing up for one look that nobody could tell by, after writes that were under way for long", () => {
  const world = new World(...Array<Verdict>(12).fill(BUSY), UNKNOWN, BUSY, UNKNOWN);
  world.settle();
  world.until(3000);
  assert.deepEqual(world.told, ["settling busy", "settling unknown", "settling busy", "settling unknown"]);
  world.until(60_000);
  assert.deepEqual(world.told.slice(4), ["gave up unknown", "over at 3252"]);
});

Deno.test("Settler gives nothing up for a first look that took longer than the bound, and by which nobody could tell", () => {
  const world = new World("later", BUSY, BUSY, UNKNOWN);
  world.settle();
  world.until(5000);
  world.answer(UNKNOWN);
  assert.deepEqual(world.told, []);
  world.until(5011);
  assert.deepEqual(world.told, ["settling busy"]);
  world.until(60_000);
  assert.deepEqual(world.told.slice(1), ["settling unknown", "gave up unknown", "over at 6252"]);
});

Deno.test("Settler gives nothing up for what nobody has looked at", () => {
  const untried = { ...UNKNOWN, untried: true } as const;
  // A look fails, and for 5 s none is made.
  const world = new World(UNKNOWN, ...Array<Verdict>(25).fill(untried), BUSY, OVER);
  world.settle();
  world.until(60_000);
  assert.deepEqual(world.told, ["settling unknown", "settling busy", "over at 5502"]);
  const failing = new World(UNKNOWN, ...Array<Verdict>(25).fill(untried), UNKNOWN);
  failing.settle();
  failing.until(60_000);
  assert.deepEqual(failing.told, ["settling unknown", "gave up unknown", "over at 5252"]);
  const never = new World(untried);
  never.settle();
  never.until(60_000);
  assert.equal(never.settler.size, 1);
});

Deno.test("Settler gives up at the first look by which nobody can tell where that is what was asked for", () => {
  const world = new World("later");
  world.bound = 0;
  world.settle();
  world.until(500);
  world.answer(UNKNOWN);
  assert.deepEqual(world.told, ["gave up unknown", "over at 500"]);
});

Deno.test("Settler waits for a witness that answers later", () => {
  const world = new World("later");
  world.settle();
  assert.equal(world.settler.reasonOf(RESOURCE), "its writes are being looked for");
  world.until(10_000);
  assert.equal(world.asked, 1);
  world.answer(OVER);
  assert.deepEqual(world.told, ["over at 10000"]);
});

Deno.test("Settler asks nothing of a file any more whose lock somebody else has freed", () => {
  const world = new World(BUSY);
  world.settle();
  world.until(4);
  world.settler.abandon(RESOURCE, 7);
  assert.deepEqual(world.told, ["settling busy", "over at 4"]);
  assert.equal(world.settler.isSettling(RESOURCE, 7), false);
  assert.equal(world.settler.isWaitedFor(7), false);
  world.until(10_000);
  assert.equal(world.asked, 2);
  world.settler.abandon(RESOURCE, 7);
  assert.equal(world.told.length, 2);
});

Deno.test("Settler hears no late answer about a lock that is gone", () => {
  const world = new World("later");
  world.settle();
  world.settler.abandon(RESOURCE, 7);
  world.answer(BUSY);
  world.until(10_000);
  assert.deepEqual(world.told, ["over at 0"]);
});

Deno.test("Settler never gives up by itself what other hosts would get, and says what to do", () => {
  const world = new World(UNKNOWN);
  world.bound = Infinity;
  world.settle();
  world.until(30 * 24 * 3_600_000);
  assert.deepEqual([world.told, world.unseen], [["settling unknown"], "QEMU"]);
  assert.equal(
    world.settler.reasonOf(RESOURCE),
    "who knows; other hosts use the disk, so it stays until somebody says that nothing of that guest is written any " +
      `more: virtlockd release ${RESOURCE.path} --force --guest guest`,
  );
  world.settler.abandon(RESOURCE, 7);
  assert.equal(world.settler.size, 0);
});

Deno.test("Settler lets go what other hosts would get of a guest that has not run, unless writes are under way", () => {
  const world = new World(BUSY, BUSY, UNKNOWN);
  [world.bound, world.hasNotRun] = [Infinity, true];
  world.settle();
  world.until(3_600_000);
  assert.deepEqual(world.told, ["settling busy", "over at 12"]);
});

Deno.test("Settler lets go what a guest without disks here has had, where somebody has said that this will do", () => {
  const nowhere = { kind: "unknown", reason: "no disk of it was seen", disks: "none" } as const;
  for (const [trusts, told] of [[true, ["over at 0"]], [false, ["settling unknown"]]] as const) {
    const world = new World(nowhere);
    [world.bound, world.trustsNetworkDisks] = [Infinity, trusts];
    world.settle();
    world.until(3_600_000);
    assert.deepEqual(world.told, told);
  }
  const world = new World(UNKNOWN);
  [world.bound, world.trustsNetworkDisks] = [Infinity, true];
  world.settle();
  world.until(3_600_000);
  assert.deepEqual(world.told, ["settling unknown"]);
});

Deno.test("Settler waits for the bound where there is one, whether the guest has run or not", () => {
  const world = new World(UNKNOWN);
  world.hasNotRun = true;
  world.settle();
  world.until(1500);
  assert.deepEqual(world.told, ["settling unknown", "gave up unknown", "over at 1002"]);
});
