import assert from "node:assert/strict";
import { LifeStage } from "./life_stage.ts";

Deno.test("build() makes a daemon with nothing in it, and tells nobody", () => {
  using stage = new LifeStage({ env: {}, timeout: 30 });
  const { daemon, state, changedLogging } = stage.build();
  assert.deepEqual([state, daemon.clientCount, daemon.table.resourceCount], [undefined, 0, 0]);
  assert.deepEqual(daemon.servers.map(({ name, listeners }) => [name, listeners.length]), [
    ["virtlockd", 0],
    ["admin", 0],
  ]);
  assert.equal(daemon.idleTimer.seconds, 30);
  assert.deepEqual([changedLogging(), stage.told], [{}, []]);
});

Deno.test("build() has the service manager told how many locks there are, a while after that has changed", () => {
  using stage = new LifeStage({ env: {} });
  const built = stage.build();
  built.status.ready(1);
  assert.deepEqual(stage.since(), ["READY=1 STATUS=0 clients, 0 locks"]);
  stage.lock(built);
  assert.deepEqual(stage.since(), []);
  built.status.ready(1);
  assert.deepEqual(stage.since(), ["READY=1 STATUS=0 clients, 1 lock"]);
});

Deno.test("build() knows what an administrator changes of the log, and only that", () => {
  using stage = new LifeStage();
  const { changedLogging } = stage.build();
  stage.found.logs.setFilters("1:rpc");
  assert.deepEqual(changedLogging(), { logFilters: "1:rpc" });
});
