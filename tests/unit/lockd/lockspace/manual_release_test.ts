import assert from "node:assert/strict";
import type { Judgement } from "../../../../src/lockd/lockspace/holder_reaper.ts";
import {
  ManualRelease,
  type ReleaseOutcome,
  type ReleaseWish,
} from "../../../../src/lockd/lockspace/manual_release.ts";
import type { Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Verdict } from "../../../../src/lockd/lockspace/settler.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { holding, resource, UUID } from "../programs/lock_fixture.ts";

const OTHER = "6ba7b810-9dad-41d1-80b4-00000000002b";
const WISH: ReleaseWish = { lockspace: "/ls", resource: "r1", by: { pid: 77, uid: 0 } };

/** A lock of the process 42, and a shared one of it and of an owner without a process. */
class World {
  judgement: Judgement = { kind: "unjudged" };
  /** What the file tells, and what happens while it is asked. */
  verdict: Verdict = { kind: "over" };
  meanwhile = () => {};
  /** Why the lock of a dead owner waits. */
  settling: string | undefined;
  /** What the table answers. */
  refusal: Refusal | undefined;
  readonly events: string[] = [];
  readonly locks: Resource[] = [
    resource({ id: 1 }),
    resource({
      id: 2,
      shared: true,
      holdings: [holding(42), holding(42), { owner: { ...holding(0, "xen").owner, uuid: OTHER }, since: 1 }],
    }),
  ];

  ask(wish: Partial<ReleaseWish> = {}): ReleaseOutcome | undefined {
    const release = new ManualRelease({
      table: {
        find: (path, name) => this.locks.find((lock) => lock.lockspace === path && lock.name === name),
        settling: () => this.settling,
        giveUp: (lock, owner, done) => {
          this.events.push(`give up ${lock.name} of ${owner.name}`);
          if (this.refusal === undefined) {
            const left = lock.holdings.filter((held) => held.owner.uuid !== owner.uuid);
            lock.holdings.splice(0, lock.holdings.length, ...left);
          }
          done(this.refusal);
        },
      },
      reaper: { judge: () => this.judgement },
      witness: {
        ask: (_lock, _holding, done) => {
          this.meanwhile();
          done(this.verdict);
        },
      },
      observer: {
        freedByHand: ({ name }, { judgement }, { pid }) =>
          this.events.push(`freed ${name}, ${judgement.kind}, for ${pid}`),
      },
    });
    let outcome: ReleaseOutcome | undefined;
    release.release({ ...WISH, ...wish }, (answer) => outcome = answer);
    return outcome;
  }
}

Deno.test("ManualRelease frees a lock whose owner is dead or cannot be judged", () => {
  for (const kind of ["dead", "unjudged"] as const) {
    const world = new World();
    world.judgement = { kind };
    const outcome = world.ask();
    assert.deepEqual(outcome, {
      kind: "released",
      holder: { holding: holding(42), judgement: { kind } },
      last: true,
    });
    assert.deepEqual(world.events, ["give up r1 of guest", `freed r1, ${kind}, for 77`]);
  }
});

Deno.test("ManualRelease leaves a living guest its lock, unless that guest is named", () => {
  const world = new World();
  world.judgement = { kind: "alive", pid: 42 };
  assert.equal(world.ask()?.kind, "alive");
  assert.equal(world.ask({ livingGuest: "another" })?.kind, "other-guest");
  assert.deepEqual(world.events, []);
  assert.equal(world.ask({ livingGuest: "guest" })?.kind, "released");
  assert.deepEqual(world.events, ["give up r1 of guest", "freed r1, alive, for 77"]);
});

Deno.test("ManualRelease has a guest without a name named by its process", () => {
  const world = new World();
  world.judgement = { kind: "alive", pid: 42 };
  const [first] = world.locks;
  first?.holdings.splice(0, 1, { owner: { ...holding(42).owner, name: "" }, since: 1 });
  assert.equal(world.ask({ livingGuest: "" })?.kind, "other-guest");
  assert.equal(world.ask({ livingGuest: "43" })?.kind, "other-guest");
  assert.equal(world.ask({ livingGuest: "42" })?.kind, "released");
});

Deno.test("ManualRelease knows a guest by its name as people are shown it", () => {
  const world = new World();
  world.judgement = { kind: "alive", pid: 42 };
  const [first] = world.locks;
  first?.holdings.splice(0, 1, { owner: { ...holding(42).owner, name: "web\t1" }, since: 1 });
  assert.equal(world.ask({ livingGuest: "web 1" })?.kind, "other-guest");
  assert.equal(world.ask({ livingGuest: "web\\t1" })?.kind, "released");
});

Deno.test("ManualRelease has one of several owners of a shared lock chosen by its uuid", () => {
  const world = new World();
  const wish = { resource: "r2" };
  const several = world.ask(wish);
  assert.deepEqual(
    several?.kind === "choose" && several.holders.map(({ holding: { owner } }) => owner.uuid),
    [UUID, OTHER],
  );
  assert.equal(world.ask({ ...wish, uuid: "6ba7b810-9dad-41d1-80b4-00000000002c" })?.kind, "choose");
  const outcome = world.ask({ ...wish, uuid: UUID });
  assert.deepEqual(outcome?.kind === "released" && outcome.last, false);
  const last = world.ask(wish);
  assert.deepEqual(last?.kind === "released" && [last.last, last.holder.holding.owner.name], [true, "xen"]);
});

Deno.test("ManualRelease says what is not locked, and why a lock could not be released", () => {
  const world = new World();
  assert.deepEqual(world.ask({ resource: "r3" }), { kind: "not-locked" });
  world.refusal = { kind: "releasing", resource: "r1" };
  const outcome = world.ask();
  assert.deepEqual(outcome?.kind === "failed" && outcome.refusal, world.refusal);
  assert.deepEqual(world.events, ["give up r1 of guest"]);
});

Deno.test("ManualRelease keeps what is being written to, unless the guest is named", () => {
  const world = new World();
  world.verdict = { kind: "busy", reason: "QEMU has it open" };
  const busy = world.ask();
  assert.deepEqual([busy?.kind, busy?.kind === "busy" && busy.reason], ["busy", "QEMU has it open"]);
  world.verdict = { kind: "unknown", reason: "process 7 (qemu) writes it too", opener: "seen" };
  assert.equal(world.ask()?.kind, "busy");
  world.judgement = { kind: "dead" };
  world.settling = "a write is under way";
  const settling = world.ask();
  assert.deepEqual([settling?.kind, settling?.kind === "busy" && settling.reason], [
    "busy",
    "a write is under way",
  ]);
  assert.deepEqual(world.events, []);
  assert.equal(world.ask({ livingGuest: "guest" })?.kind, "released");
});

Deno.test("ManualRelease goes by the administrator's word where the file tells nothing", () => {
  const world = new World();
  world.verdict = { kind: "unknown", reason: "names are hashes" };
  assert.equal(world.ask()?.kind, "released");
});

Deno.test("ManualRelease frees nothing that was released while the storage was asked", () => {
  const world = new World();
  world.meanwhile = () => world.locks.splice(0);
  assert.equal(world.ask()?.kind, "not-locked");
  assert.deepEqual(world.events, []);
});

Deno.test("ManualRelease frees what a guest shared with what it was before, one after the other, when both have ended", () => {
  const shared = () => {
    const world = new World();
    world.locks.push(resource({ id: 3, name: "r4", shared: true, holdings: [holding(42), holding(43)] }));
    return world;
  };
  const lives = shared();
  lives.judgement = { kind: "alive", pid: 42 };
  assert.equal(lives.ask({ resource: "r4", uuid: UUID, livingGuest: "guest" })?.kind, "choose");
  const ended = shared();
  ended.judgement = { kind: "dead" };
  const outcome = ended.ask({ resource: "r4", uuid: UUID, livingGuest: "guest" });
  assert.deepEqual(outcome?.kind === "released" && outcome.holder.holding.owner.pid, 42);
});
