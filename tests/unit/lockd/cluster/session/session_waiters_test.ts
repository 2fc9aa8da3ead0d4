import assert from "node:assert/strict";
import { type Readiness, SessionWaiters } from "../../../../../src/lockd/cluster/session/session_waiters.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const EPOCH = { sessionKey: "s", session: 1, metaKey: "m", meta: 2 };
const WAIT: Readiness = { kind: "wait", hopeless: false, reason: "joining" };

class Stage {
  readonly time = new PlayedTime();
  readonly told: string[] = [];
  readiness: Readiness = WAIT;
  readonly waiters = new SessionWaiters({
    loop: this.time.loop(),
    clock: () => this.time.now,
    readiness: () => this.readiness,
  });

  add(name: string, until: number): void {
    this.waiters.add(
      until,
      (epoch) => this.told.push(`${name} ready ${epoch.session}`),
      (reason) => this.told.push(`${name} failed: ${reason}`),
    );
  }
}

Deno.test("whoever comes when changes can be made does not wait", () => {
  const stage = new Stage();
  stage.readiness = { kind: "ready", epoch: EPOCH };
  stage.add("a", 0);
  assert.deepEqual(stage.told, ["a ready 1"]);
});

Deno.test("waiters are told when changes can be made, in their order", () => {
  const stage = new Stage();
  stage.add("a", 5000);
  stage.add("b", Infinity);
  assert.deepEqual(stage.told, []);
  stage.readiness = { kind: "ready", epoch: EPOCH };
  stage.waiters.wake();
  assert.deepEqual(stage.told, ["a ready 1", "b ready 1"]);
});

Deno.test("a waiter whose time is over fails, one with all the time in the world waits on", () => {
  const stage = new Stage();
  stage.add("a", 2500);
  stage.add("b", Infinity);
  for (let turn = 0; turn < 3; turn++) stage.time.advance();
  assert.deepEqual([stage.told, stage.time.now], [["a failed: joining"], 2500]);
});

Deno.test("when waiting becomes hopeless a waiter with a limit fails within a second", () => {
  const stage = new Stage();
  stage.add("a", 10_000);
  stage.readiness = { kind: "wait", hopeless: true, reason: "etcd is away" };
  stage.time.advance();
  assert.deepEqual([stage.told, stage.time.now], [["a failed: etcd is away"], 1000]);
});

Deno.test("a waiter that finds that changes cannot be made again leaves the others waiting", () => {
  const stage = new Stage();
  stage.waiters.add(5000, () => {
    stage.told.push("first");
    stage.readiness = WAIT;
  }, () => {});
  stage.add("b", 5000);
  stage.readiness = { kind: "ready", epoch: EPOCH };
  stage.waiters.wake();
  assert.deepEqual(stage.told, ["first"]);
});

Deno.test("when it will never be, everybody is told, and nobody after all has been dropped", () => {
  const stage = new Stage();
  stage.add("a", Infinity);
  stage.readiness = { kind: "never", reason: "lost" };
  stage.waiters.wake();
  assert.deepEqual(stage.told, ["a failed: lost"]);
  stage.readiness = WAIT;
  stage.add("b", 5000);
  stage.waiters.drop();
  stage.time.advance();
  assert.deepEqual(stage.told, ["a failed: lost"]);
});

Deno.test("in a closed cluster things are given back, and whoever would take something is told why not", () => {
  const stage = new Stage();
  stage.readiness = { kind: "closed", epoch: EPOCH, reason: "it is being recovered" };
  stage.add("a", 5000);
  stage.add("b", Infinity);
  assert.deepEqual(stage.told, ["a failed: it is being recovered", "b ready 1"]);
});
