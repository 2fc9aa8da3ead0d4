import assert from "node:assert/strict";
import type { Timer } from "../../../../src/chassis/event/event_loop.ts";
import { getLog } from "../../../../src/chassis/log/log.ts";
import { Watchdog } from "../../../../src/chassis/systemd/watchdog.ts";

/** First that systemd hears the process also when its unit is masked later, which has to be a change each. */
const ARM = [["NOTIFYACCESS=exec"], ["NOTIFYACCESS=main"], ["WATCHDOG_USEC=20000000", "WATCHDOG=1"]];
const SIGN = ["WATCHDOG=1"];
const DISARM = ["WATCHDOG_USEC=0"];

/** A watchdog with what it told and a clock that the test turns. */
class Stage {
  wanted = true;
  readonly told: string[][] = [];
  readonly pauses: number[] = [];
  readonly watchdog: Watchdog;
  #tasks: (() => void)[] = [];

  constructor(manager = true) {
    const loop = {
      after: (milliseconds: number, task: () => void): Timer => {
        this.pauses.push(milliseconds);
        this.#tasks.push(task);
        return { due: 0, cancel() {} };
      },
    };
    const tell = (lines: readonly string[]) => void this.told.push([...lines]);
    const log = getLog("test.watchdog", "watchdog_test.ts");
    this.watchdog = new Watchdog(loop, manager ? { tell } : undefined, () => this.wanted, "clients", log);
  }

  /** Five seconds go by. */
  pass(): void {
    for (const task of this.#tasks.splice(0)) task();
  }

  /** What was told since the last time. */
  take(): string[][] {
    return this.told.splice(0);
  }
}

Deno.test("Watchdog arms itself once it is wanted, and gives a sign of life every 5 s", () => {
  const stage = new Stage();
  stage.watchdog.start();
  assert.deepEqual(stage.take(), ARM);
  stage.pass();
  stage.pass();
  assert.deepEqual(stage.take(), [SIGN, SIGN]);
  assert.deepEqual(stage.pauses, [5000, 5000, 5000]);
  assert.equal(stage.watchdog.armed, true);
});

Deno.test("Watchdog takes back what an earlier image has armed, and follows what is wanted", () => {
  const stage = new Stage();
  stage.wanted = false;
  stage.watchdog.start();
  assert.deepEqual(stage.take(), [DISARM]);
  stage.pass();
  assert.deepEqual(stage.take(), []);
  stage.wanted = true;
  stage.pass();
  assert.deepEqual(stage.take(), ARM);
  stage.wanted = false;
  stage.pass();
  assert.deepEqual(stage.take(), [DISARM]);
  assert.equal(stage.watchdog.armed, false);
});

Deno.test("Watchdog stays disarmed while another program takes over, and is armed again when it did not", () => {
  const stage = new Stage();
  stage.watchdog.start();
  stage.take();
  stage.watchdog.hold();
  stage.pass();
  assert.deepEqual(stage.take(), [DISARM]);
  stage.watchdog.release();
  assert.deepEqual(stage.take(), ARM);
  stage.watchdog.release();
  assert.deepEqual(stage.take(), []);
});

Deno.test("Watchdog is nothing without a service manager", () => {
  const stage = new Stage(false);
  stage.watchdog.start();
  stage.watchdog.hold();
  stage.watchdog.release();
  assert.deepEqual([stage.take(), stage.pauses], [[], []]);
  assert.equal(stage.watchdog.armed, false);
});
