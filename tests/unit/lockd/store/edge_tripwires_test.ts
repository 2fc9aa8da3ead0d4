import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { EdgeTripwires } from "../../../../src/lockd/store/edge_tripwires.ts";
import { Tripwires } from "../../../../src/lockd/store/tripwires.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";

/** A store that has what it is told to have, and takes tripwires at once. */
class Stage implements Disposable {
  readonly told: string[] = [];
  readonly timers: { readonly milliseconds: number; readonly task: () => void }[] = [];
  mayPut = true;
  readonly #loop = new EventLoop(kernel);
  readonly tripwires = new Tripwires(
    { sys: kernel, loop: this.#loop, ledger: new DescriptorLedger(kernel) },
    () => {},
  );
  readonly edges = new EdgeTripwires({
    loop: {
      after: (milliseconds, task) => {
        this.timers.push({ milliseconds, task });
        return { due: 0, cancel: () => {} };
      },
    },
    tripwires: this.tripwires,
    mayPut: () => this.mayPut,
    put: (name) => {
      this.told.push(name);
      this.tripwires.make(name, () => "sent");
    },
    remove: (name) => {
      this.told.push(`-${name}`);
      this.tripwires.drop(name);
    },
    known: (name) => void this.told.push(`known ${name}`),
  });

  /** A pipe, as a tripwire has one. @returns its ends */
  pipe(): [number, number] {
    const ends = kernel.pipe();
    assert.ok(typeof ends !== "number");
    return ends;
  }

  /** What was told since this was asked last. */
  since(): string[] {
    return this.told.splice(0);
  }

  [Symbol.dispose](): void {
    for (const { name } of this.tripwires.held) this.tripwires.drop(name);
    this.#loop.close();
  }
}

Deno.test("EdgeTripwires puts one before everything once it guards, and none before", () => {
  using stage = new Stage();
  stage.edges.seal();
  stage.edges.sealLater();
  assert.deepEqual([stage.since(), stage.timers, stage.edges.guarded], [[], [], false]);
  stage.edges.guard();
  stage.edges.guard();
  assert.deepEqual([stage.since(), stage.edges.guarded], [["tripwire-0"], true]);
});

Deno.test("EdgeTripwires.seal() puts the newest behind everything, and takes the one before away", () => {
  using stage = new Stage();
  stage.edges.guard();
  for (let times = 0; times < 3; times++) stage.edges.seal();
  assert.deepEqual(stage.since(), [
    "tripwire-0",
    "tripwire-1",
    "tripwire-2",
    "-tripwire-1",
    "tripwire-1",
    "-tripwire-2",
  ]);
});

Deno.test("EdgeTripwires.sealLater() seals once for all that comes within two seconds", () => {
  using stage = new Stage();
  stage.edges.guard();
  stage.edges.sealLater();
  stage.edges.sealLater();
  assert.deepEqual(stage.timers.map(({ milliseconds }) => milliseconds), [2000]);
  stage.since();
  stage.timers.shift()?.task();
  assert.deepEqual(stage.since(), ["tripwire-1"]);
  stage.edges.sealLater();
  assert.equal(stage.timers.length, 1);
});

Deno.test("EdgeTripwires puts none where the manager takes none, or while it rests", () => {
  using stage = new Stage();
  stage.mayPut = false;
  stage.edges.guard();
  stage.edges.seal();
  stage.edges.sealLater();
  assert.deepEqual([stage.since(), stage.timers], [[], []]);
  stage.mayPut = true;
  stage.edges.guard();
  stage.edges.sealLater();
  stage.edges.rest();
  stage.timers.shift()?.task();
  assert.deepEqual([stage.since(), stage.edges.guarded], [["tripwire-0"], false]);
});

Deno.test("EdgeTripwires.putOldest() stores the first one anew", () => {
  using stage = new Stage();
  stage.edges.guard();
  assert.equal(stage.edges.putOldest(), "tripwire-0");
  assert.deepEqual(stage.since(), ["tripwire-0", "-tripwire-0", "tripwire-0"]);
});

Deno.test("EdgeTripwires.adopt() goes on with those of an earlier image and of an earlier process", () => {
  using stage = new Stage();
  const [oldest, first] = stage.pipe();
  const [newest, second] = stage.pipe();
  stage.edges.adopt([{ name: "tripwire-0", fd: oldest }], [{ name: "tripwire-2", fd: second }]);
  assert.deepEqual(stage.since(), ["known tripwire-0", "known tripwire-2"]);
  stage.edges.guard();
  stage.edges.seal();
  assert.deepEqual(stage.since(), ["tripwire-1", "-tripwire-2"]);
  for (const fd of [first, newest]) kernel.close(fd);
});

Deno.test("EdgeTripwires.clear() begins with the first number again", () => {
  using stage = new Stage();
  stage.edges.guard();
  stage.edges.seal();
  stage.edges.clear();
  stage.edges.seal();
  assert.deepEqual(stage.since(), ["tripwire-0", "tripwire-1", "tripwire-1"]);
});
