import assert from "node:assert/strict";
import { IdleTimer } from "../../../../src/chassis/start/idle_timer.ts";
import type { Timer } from "../../../../src/chassis/event/event_loop.ts";

/** An idle timer on a clock of the test's. */
class Stage {
  idle = true;
  expired = 0;
  readonly pending: { milliseconds: number; task: () => void }[] = [];
  readonly timer: IdleTimer;

  constructor(seconds: number) {
    const loop = {
      after: (milliseconds: number, task: () => void): Timer => {
        const entry = { milliseconds, task };
        this.pending.push(entry);
        return { due: milliseconds, cancel: () => void this.pending.splice(this.pending.indexOf(entry), 1) };
      },
    };
    this.timer = new IdleTimer(loop, seconds, () => this.idle, () => this.expired++);
  }

  get waits(): number[] {
    return this.pending.map(({ milliseconds }) => milliseconds);
  }

  /** The time is up. */
  fire(): void {
    this.pending.shift()?.task();
  }
}

Deno.test("IdleTimer expires after a time without client and lock", () => {
  const stage = new Stage(30);
  assert.deepEqual(stage.waits, []);
  stage.timer.check();
  stage.timer.check();
  assert.deepEqual(stage.waits, [30_000]);
  stage.fire();
  assert.equal(stage.expired, 1);
});

Deno.test("IdleTimer stops counting when something comes, and begins anew when it has gone", () => {
  const stage = new Stage(30);
  stage.timer.check();
  stage.idle = false;
  stage.timer.check();
  assert.deepEqual(stage.waits, []);
  stage.idle = true;
  stage.timer.check();
  assert.deepEqual(stage.waits, [30_000]);
});

Deno.test("IdleTimer does not expire when something came unannounced", () => {
  const stage = new Stage(30);
  stage.timer.check();
  stage.idle = false;
  stage.fire();
  assert.equal(stage.expired, 0);
});

Deno.test("IdleTimer never expires with a limit of 0", () => {
  const stage = new Stage(0);
  stage.timer.check();
  assert.deepEqual(stage.waits, []);
});

Deno.test("IdleTimer takes a new limit at once", () => {
  const stage = new Stage(30);
  stage.timer.check();
  stage.timer.seconds = 5;
  assert.deepEqual(stage.waits, [5_000]);
  stage.timer.seconds = 0;
  assert.deepEqual(stage.waits, []);
  assert.equal(stage.timer.seconds, 0);
});
