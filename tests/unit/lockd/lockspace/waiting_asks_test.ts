import assert from "node:assert/strict";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { WaitingAsks } from "../../../../src/lockd/lockspace/waiting_asks.ts";
import { resource } from "../programs/lock_fixture.ts";

/** Asks that wait, with timers and turns of the test's own. */
class World {
  readonly told: string[] = [];
  readonly #timers: (() => void)[] = [];
  readonly #deferred: (() => void)[] = [];
  readonly asks = new WaitingAsks({
    after: (milliseconds, task) => {
      this.told.push(`timer ${milliseconds}`);
      this.#timers.push(task);
      return { due: 0, cancel: () => void this.#timers.splice(this.#timers.indexOf(task), 1) };
    },
    defer: (task) => void this.#deferred.push(task),
  });

  add(held: Resource, name: string): void {
    this.asks.add(held, 1000, () => this.told.push(`${name} again`), () => this.told.push(`${name} late`));
  }

  turn(): void {
    for (const task of this.#deferred.splice(0)) task();
  }

  /** The time of every ask is up. */
  expire(): void {
    for (const timer of this.#timers.splice(0)) timer();
  }
}

Deno.test("WaitingAsks has those who wait for a resource ask again in their order, behind the change", () => {
  const world = new World();
  const [a, b] = [resource({ id: 1 }), resource({ id: 2 })];
  world.add(a, "first");
  world.add(a, "second");
  world.add(b, "other");
  world.told.length = 0;
  world.asks.wake(a);
  assert.deepEqual(world.told, []);
  world.turn();
  assert.deepEqual(world.told, ["first again", "second again"]);
  world.asks.wake(a);
  world.turn();
  world.expire();
  assert.deepEqual(world.told, ["first again", "second again", "other late"]);
});

Deno.test("WaitingAsks tells who has waited long enough, once", () => {
  const world = new World();
  const held = resource({ id: 1 });
  world.add(held, "first");
  assert.deepEqual(world.told, ["timer 1000"]);
  world.expire();
  world.asks.wake(held);
  world.turn();
  assert.deepEqual(world.told, ["timer 1000", "first late"]);
});

Deno.test("WaitingAsks keeps nobody waiting when the daemon ends", () => {
  const world = new World();
  const [a, b] = [resource({ id: 1 }), resource({ id: 2 })];
  world.add(a, "first");
  world.add(b, "second");
  world.told.length = 0;
  world.asks.end();
  assert.deepEqual(world.told, ["first late", "second late"]);
  world.add(a, "third");
  world.expire();
  world.asks.wake(a);
  world.turn();
  assert.deepEqual(world.told, ["first late", "second late", "third late"]);
});
