import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { GivenUp } from "../../../../src/lockd/daemon/given_up.ts";
import { begin } from "../../../../src/lockd/life/begin.ts";
import type { Built } from "../../../../src/lockd/life/built.ts";
import { end } from "../../../../src/lockd/life/end.ts";
import { prepareSuccession, type Succession } from "../../../../src/lockd/life/successor.ts";
import { kernel, lockOn } from "../../../support/kernel.ts";
import { LifeStage } from "./life_stage.ts";

/** A daemon that serves, with its note. */
function serving(stage: LifeStage): { built: Built; succession: Succession; note: GivenUp; path: string } {
  const built = stage.build();
  const succession = prepareSuccession(stage.found, built);
  const path = stage.scratch.file("given-up.json");
  const note = new GivenUp(kernel, path);
  begin(stage.found, built, { dead: [], note }, succession, []);
  return { built, succession, note, path };
}

Deno.test("end() without a store gives the locks up, leaves a note of them, and the journal for who takes them again", () => {
  using stage = new LifeStage();
  const { built, succession, note, path } = serving(stage);
  const disk = stage.lock(built);
  assert.equal(lockOn(disk).mode, "exclusive");
  end(stage.found, built.daemon, succession, note);
  assert.equal(lockOn(disk).mode, "none");
  const { locks, guests } = JSON.parse(Deno.readTextFileSync(path));
  assert.deepEqual([locks, guests], [1, [{ name: "web", pid: 5_000_001, start: 0 }]]);
  assert.equal(existsSync(`${stage.scratch.path}/libvirt/virtlockd-journal/journal`), true);
});

Deno.test("end() leaves nothing behind where nothing was locked", () => {
  using stage = new LifeStage();
  const { built, succession, note, path } = serving(stage);
  end(stage.found, built.daemon, succession, note);
  assert.deepEqual(
    [existsSync(path), existsSync(`${stage.scratch.path}/libvirt/virtlockd-journal/journal`)],
    [false, false],
  );
});

Deno.test("end() with a store of which nobody knows whether it stays keeps the locks, and notes them all the same", () => {
  using stage = new LifeStage({ env: { FDSTORE: "100" } });
  const { built, succession, note, path } = serving(stage);
  const disk = stage.lock(built);
  stage.since();
  end(stage.found, built.daemon, succession, note);
  assert.deepEqual([lockOn(disk).mode, existsSync(path)], ["exclusive", true]);
  // Nothing is taken out of the store.
  assert.deepEqual(stage.since().filter((line) => line.startsWith("drop")), []);
});

Deno.test("end() removes the paths of its own sockets, but none that the next daemon gets from the store", () => {
  for (const [env, left] of [[undefined, false], [{ FDSTORE: "100" }, true]] as const) {
    using stage = new LifeStage(env === undefined ? {} : { env });
    const { built, succession, note } = serving(stage);
    const path = stage.scratch.write("socket");
    const fd = kernel.eventfd();
    built.daemon.lockServer.listen({
      fd,
      role: "read-write",
      path,
      access: { mode: 0o700, group: undefined },
      unlink: true,
    });
    end(stage.found, built.daemon, succession, note);
    assert.equal(existsSync(path), left);
  }
});
