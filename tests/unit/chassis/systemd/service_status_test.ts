import assert from "node:assert/strict";
import type { Timer } from "../../../../src/chassis/event/event_loop.ts";
import { ServiceStatus } from "../../../../src/chassis/systemd/service_status.ts";

/** A status with what it told, and the tasks that wait. */
class Stage {
  text = "0 clients";
  readonly told: string[][] = [];
  readonly pending: { milliseconds: number; task: () => void }[] = [];
  readonly status: ServiceStatus;

  constructor(manager = true) {
    const loop = {
      after: (milliseconds: number, task: () => void): Timer => {
        this.pending.push({ milliseconds, task });
        return { due: 0, cancel() {} };
      },
    };
    const notify = {
      tell: (lines: readonly string[]) => void this.told.push([...lines]),
    };
    this.status = new ServiceStatus(
      { monotonic: () => 1234.5678 },
      loop,
      manager ? notify : undefined,
      () => this.text,
    );
  }

  fire(): void {
    this.pending.shift()?.task();
  }
}

Deno.test("ServiceStatus tells that the daemon serves, reloads and stops", () => {
  const { status, told } = new Stage();
  status.ready(42);
  status.reloading();
  status.stopping();
  assert.deepEqual(told, [
    ["READY=1", "MAINPID=42", "STATUS=0 clients"],
    ["RELOADING=1", "MONOTONIC_USEC=1234567"],
    ["STOPPING=1", "STATUS=Stopping"],
  ]);
});

Deno.test("ServiceStatus collects changes for a while and tells what has come of them", () => {
  const stage = new Stage();
  stage.status.ready(42);
  stage.told.length = 0;
  stage.text = "1 clients";
  stage.status.changed();
  stage.status.changed();
  assert.deepEqual(stage.pending.map(({ milliseconds }) => milliseconds), [2000]);
  stage.text = "2 clients";
  stage.fire();
  assert.deepEqual(stage.told, [["STATUS=2 clients"]]);
  stage.status.changed();
  stage.text = "3 clients";
  stage.text = "2 clients";
  stage.fire();
  assert.deepEqual(stage.told.length, 1);
});

Deno.test("ServiceStatus is silent without a service manager", () => {
  const stage = new Stage(false);
  stage.status.ready(42);
  stage.status.reloading();
  stage.status.changed();
  stage.status.stopping();
  assert.deepEqual([stage.told, stage.pending], [[], []]);
});
