import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { journalPath } from "../../../../src/chassis/journal/layout.ts";
import { find, type Found } from "../../../../src/lockd/life/found.ts";
import { lockPaths } from "../../../../src/lockd/identity/lock_paths.ts";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";
import { LifeStage } from "./life_stage.ts";

/** Begins to find, as a start does. What would change the test's own process does nothing. */
function begin(stage: LifeStage, unfinished: (() => void)[]): Found {
  const sys = { ...stage.sys, setThreadName: () => 0, umask: () => 0, setFileLimit: () => 0 };
  return find({ ...stage.found.parts, sys }, stage.found.logs, unfinished);
}

function close({ prepared: { loop, ledger } }: Found): void {
  for (const [fd] of [...ledger.entries()]) if (!loop.descriptors.includes(fd)) ledger.close(fd);
  loop.close();
}

Deno.test("find() finds what there is, and takes the journal and the PID file", () => {
  using stage = new LifeStage();
  const unfinished: (() => void)[] = [];
  const found = begin(stage, unfinished);
  const { paths } = found.beginning.context;
  assert.equal(existsSync(journalPath(lockPaths(paths).journalDir)), true);
  assert.deepEqual([found.service.notify, found.safety.recovered, found.safety.past], [
    undefined,
    undefined,
    { kind: "none" },
  ]);
  assert.equal(existsSync(paths.pidFile), true);
  for (const undo of unfinished) undo();
  assert.equal(existsSync(paths.pidFile), false);
  close(found);
});

Deno.test("find() leaves the journal alone where another daemon serves", () => {
  using stage = new LifeStage();
  const { socket } = stage.found.beginning.context.paths;
  const fd = kernel.socket(SOCK_STREAM, true);
  assert.equal(kernel.bind(fd, socket), 0);
  assert.equal(kernel.listen(fd, 1), 0);
  const { journalDir } = lockPaths(stage.found.beginning.context.paths);
  const before = existsSync(journalPath(journalDir));
  assert.throws(() => begin(stage, []), {
    name: "StartError",
    message: `Bind socket ${socket}: another daemon listens there`,
  });
  assert.equal(existsSync(journalPath(journalDir)), before);
  kernel.close(fd);
});
