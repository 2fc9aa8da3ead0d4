import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { isTripwire, tripwireName, Tripwires } from "../../../../src/lockd/store/tripwires.ts";
import { F_DUPFD_CLOEXEC, F_GETFD, FD_CLOEXEC } from "../../../../src/os/constants.ts";
import { EMFILE } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { parseSlot } from "../../../../src/lockd/journal/descriptor_names.ts";
import { kernel } from "../../../support/kernel.ts";

/** A manager that keeps copies of the ends that it is given. */
class Stage implements Disposable {
  readonly loop = new EventLoop(kernel);
  readonly ledger = new DescriptorLedger(kernel);
  readonly kept: number[] = [];
  trips = 0;
  readonly tripwires: Tripwires;

  constructor(sys = kernel) {
    this.tripwires = new Tripwires({ sys, loop: this.loop, ledger: this.ledger }, () => this.trips++);
  }

  readonly keep = (end: number): "sent" => {
    this.kept.push(kernel.fcntl(end, F_DUPFD_CLOEXEC, 0));
    return "sent";
  };

  [Symbol.dispose](): void {
    for (const { name } of this.tripwires.held) this.tripwires.drop(name);
    for (const fd of this.kept) kernel.close(fd);
    this.loop.close();
  }
}

Deno.test("Tripwires tell once when the manager closes what it was given, and not before", () => {
  using stage = new Stage();
  assert.equal(stage.tripwires.make("tripwire-0", stage.keep), "sent");
  stage.loop.turn(0);
  assert.equal(stage.trips, 0);
  assert.equal(stage.tripwires.has("tripwire-0"), true);
  kernel.close(stage.kept.pop() ?? -1);
  stage.loop.turn(0);
  stage.loop.turn(0);
  assert.equal(stage.trips, 1);
  assert.deepEqual(stage.tripwires.held, []);
  assert.equal(stage.ledger.size, 0);
});

Deno.test("Tripwires.make() leaves nothing behind where the end is not taken", () => {
  using stage = new Stage();
  assert.equal(stage.tripwires.make("tripwire-0", () => "full"), "full");
  assert.equal(stage.tripwires.make("tripwire-0", () => 32), 32);
  assert.deepEqual([stage.tripwires.held, stage.ledger.size], [[], 0]);
  using poor = new Stage({ ...kernel, pipe: () => -EMFILE });
  assert.equal(poor.tripwires.make("tripwire-0", poor.keep), EMFILE);
});

Deno.test("Tripwires.reopen() watches what only the manager has", () => {
  using before = new Stage();
  before.tripwires.make("tripwire-0", before.keep);
  before.tripwires.drop("tripwire-0");
  const copy = before.kept[0] as number;

  using stage = new Stage();
  const end = kernel.fcntl(copy, F_DUPFD_CLOEXEC, 0);
  assert.equal(stage.tripwires.reopen("tripwire-0", end), true);
  const [held] = stage.tripwires.held;
  assert.equal(held?.name, "tripwire-0");
  assert.equal(kernel.fcntl(held?.fd ?? -1, F_GETFD, 0), FD_CLOEXEC);
  stage.loop.turn(0);
  assert.equal(stage.trips, 0);
  kernel.close(before.kept.pop() ?? -1);
  stage.loop.turn(0);
  assert.equal(stage.trips, 1);
});

Deno.test("Tripwires.reopen() tells of one that cannot be watched, and closes its end", () => {
  using stage = new Stage({ ...kernel, open: () => -EMFILE });
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  assert.equal(stage.tripwires.reopen("tripwire-0", pipe[1]), false);
  assert.ok(kernel.fcntl(pipe[1], F_GETFD, 0) < 0);
  kernel.close(pipe[0]);
});

Deno.test("Tripwires.drop() is silent, and so is a new one in the place of another", () => {
  using stage = new Stage();
  stage.tripwires.make("tripwire-1", stage.keep);
  stage.tripwires.make("tripwire-1", stage.keep);
  kernel.close(stage.kept.shift() ?? -1);
  stage.loop.turn(0);
  stage.tripwires.drop("tripwire-1");
  kernel.close(stage.kept.shift() ?? -1);
  stage.loop.turn(0);
  assert.deepEqual([stage.trips, stage.ledger.size], [0, 0]);
});

Deno.test("isTripwire() knows the names, which are none of slots", () => {
  assert.equal(isTripwire(tripwireName(2)), true);
  assert.equal(parseSlot(tripwireName(2)), undefined);
  for (const name of ["journal", "A", "queue-1-2", "tripwire-", "tripwire-x"]) {
    assert.equal(isTripwire(name), false);
  }
});
