import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { announce, begin, heedSignals } from "../../../../src/lockd/life/begin.ts";
import { prepareSuccession } from "../../../../src/lockd/life/successor.ts";
import type { TakenOver } from "../../../../src/lockd/life/take_over.ts";
import { GivenUp } from "../../../../src/lockd/daemon/given_up.ts";
import type { EndedOwner } from "../../../../src/lockd/lockspace/holder_reaper.ts";
import { SIGHUP, SIGTERM } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";
import { LifeStage, OWNER } from "./life_stage.ts";

/** Nothing was taken over, but owners that are gone. */
function taken(stage: LifeStage, dead: readonly EndedOwner[] = []): TakenOver {
  return { dead, note: new GivenUp(kernel, stage.scratch.file("given-up.json")) };
}

Deno.test("begin() records from there on, frees who is gone before anybody is served, and undoes nothing any more", () => {
  using stage = new LifeStage({ env: { FDSTORE: "100" } });
  const built = stage.build();
  stage.lock(built);
  const succession = prepareSuccession(stage.found, built);
  const unfinished = [() => assert.fail("nothing is undone")];
  const { recorder } = stage.found.safety;
  assert.equal(recorder?.log.records, false);
  begin(stage.found, built, taken(stage, [{ pid: OWNER.pid, key: OWNER.pid }]), succession, unfinished);
  assert.equal(recorder?.log.records, true);
  assert.deepEqual([unfinished, built.daemon.table.resourceCount], [[], 0]);
  const stored = stage.since().map((line) => line.replace(/\d{3,}/, "N"));
  // What was locked by then is stored between the first tripwire and the last.
  assert.deepEqual(stored, ["store tripwire-0", "store queue-N-0", "store journal", "store tripwire-1"]);
  assert.ok(built.daemon.servers.every(({ listeners }) => listeners.length === 0));
});

Deno.test("announce() tells that the start has succeeded, after everything else", () => {
  using stage = new LifeStage({ env: {} });
  const built = stage.build();
  const succession = prepareSuccession(stage.found, built);
  const failures = stage.found.beginning.context.paths.startFailures;
  Deno.writeTextFileSync(failures, "3 5");
  begin(stage.found, built, taken(stage), succession, []);
  assert.deepEqual(stage.since(), []);
  announce(stage.found, built, succession);
  assert.equal(existsSync(failures), false);
  // Without a store a kill would cost locks: the watchdog stays off.
  assert.deepEqual(stage.since(), ["READY=1 STATUS=0 clients, 0 locks", "WATCHDOG_USEC=0"]);
});

Deno.test("announce() arms the watchdog where nothing would be lost by a kill", () => {
  using stage = new LifeStage({ env: { FDSTORE: "100" } });
  const built = stage.build();
  const succession = prepareSuccession(stage.found, built);
  begin(stage.found, built, taken(stage), succession, []);
  stage.since();
  announce(stage.found, built, succession);
  assert.deepEqual(stage.since(), [
    "READY=1 STATUS=0 clients, 0 locks",
    "NOTIFYACCESS=exec",
    "NOTIFYACCESS=main",
    "WATCHDOG_USEC=20000000 WATCHDOG=1",
  ]);
});

Deno.test("heedSignals() ends the daemon at SIGTERM, and reads the configuration again at SIGHUP", () => {
  using stage = new LifeStage({ env: {} });
  const built = stage.build();
  heedSignals(stage.found, built, prepareSuccession(stage.found, built));
  Deno.mkdirSync(stage.scratch.file("libvirt"), { recursive: true });
  Deno.writeTextFileSync(stage.found.beginning.context.paths.config, "max_clients = 7\nsettle_timeout = 9\n");
  stage.signal(SIGHUP);
  assert.deepEqual(stage.since(), ["RELOADING=1", "READY=1 STATUS=0 clients, 0 locks"]);
  assert.deepEqual(
    [built.daemon.lockServer.limits.maxClients, built.daemon.settings.settleTimeout],
    [7, 9],
  );
  assert.equal(built.daemon.ending, false);
  stage.signal(SIGTERM);
  assert.deepEqual([stage.since(), built.daemon.ending], [["STOPPING=1 STATUS=Stopping"], true]);
});
