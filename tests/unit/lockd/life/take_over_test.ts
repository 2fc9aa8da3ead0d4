import assert from "node:assert/strict";
import type { Found } from "../../../../src/lockd/life/found.ts";
import type { TakenState } from "../../../../src/lockd/restart/state_file.ts";
import type { RestartState } from "../../../../src/lockd/restart/state.ts";
import { build } from "../../../../src/lockd/life/built.ts";
import { takeOver } from "../../../../src/lockd/life/take_over.ts";
import { lockPaths } from "../../../../src/lockd/identity/lock_paths.ts";
import { F_WRLCK, O_RDWR } from "../../../../src/os/constants.ts";
import { kernel, lockOn } from "../../../support/kernel.ts";
import { LifeStage, OWNER } from "./life_stage.ts";

/** What libvirt's daemon hands over: one lock, on a descriptor. */
function libvirts(path: string, fd: number): RestartState {
  const server = { maxClients: 7, maxAnonymousClients: 7, nextClientId: 12, listeners: [], clients: [] };
  const record = {
    id: 4,
    lockspace: "",
    name: path,
    path,
    shared: false,
    autocreate: false,
    holdings: [{ owner: OWNER, since: 1_700_000_000_000 }],
    state: { kind: "held" },
  } as const;
  return {
    pid: kernel.pid(),
    servers: { virtlockd: server, admin: server },
    lockspaces: [{ path: "", resources: [{ record, handle: { kind: "file", fd, lock: "ofd" } }] }],
    nextResourceId: 9,
  };
}

/** What a start has found, and besides it what an earlier image has left. */
function found(stage: LifeStage, left: Partial<Found["beginning"]>): Found {
  return { ...stage.found, beginning: { ...stage.found.beginning, ...left } };
}

Deno.test("takeOver() of nothing says that nothing was left", () => {
  using stage = new LifeStage();
  stage.found.logs.setFilters("1:locking");
  const { dead } = takeOver(stage.found, stage.build());
  assert.deepEqual(dead, []);
  const begins = stage.logged.filter((line) => line.startsWith("virtlockd "));
  assert.equal(begins.length, 1);
  assert.match(begins[0] ?? "", /begins with no client and no lock: no earlier daemon has left any$/);
});

const ODD: [TakenState, RegExp][] = [
  [
    { kind: "stale", magic: "99" },
    /^Ignored a restart state that was meant for process 99, this one is \d+$/,
  ],
  [{ kind: "link" }, /^Removed .*: it was a symbolic link, which no daemon puts there$/],
];

for (const [taken, told] of ODD) {
  Deno.test(`takeOver() tells of a state that is not taken: ${taken.kind}`, () => {
    using stage = new LifeStage();
    takeOver(found(stage, { taken }), stage.build());
    assert.equal(stage.logged.filter((line) => told.test(line)).length, 1);
  });
}

Deno.test("takeOver() puts what libvirt's daemon has handed over into the parts, and knows who is gone", () => {
  using stage = new LifeStage();
  const path = stage.scratch.write("disk");
  const fd = kernel.open(path, O_RDWR, 0);
  assert.equal(kernel.ofdLock(fd, F_WRLCK, 0, 1), 0);
  const handed = libvirts(path, fd);
  const earlier = found(stage, { handed });
  const built = build(earlier);
  takeOver(earlier, built);
  const [lock] = built.daemon.table.resources();
  assert.deepEqual([lock?.id, lock?.state, lock?.holdings], [
    4,
    { kind: "held" },
    [{ owner: OWNER, since: 1_700_000_000_000 }],
  ]);
  assert.deepEqual([built.daemon.lockServer.limits.maxClients, lockOn(path).mode], [7, "exclusive"]);
});

Deno.test("takeOver() names what is wrong with a state that cannot be taken over", () => {
  using stage = new LifeStage();
  const path = stage.scratch.write("disk");
  const handed = libvirts(path, 1_000_000);
  const earlier = found(stage, { handed });
  assert.throws(() => takeOver(earlier, build(earlier)), {
    name: "StartError",
    message: /^Load restart state: /,
  });
});

Deno.test("takeOver() tells what a daemon that was stopped has given up, once", () => {
  using stage = new LifeStage();
  const path = lockPaths(stage.found.beginning.context.paths).givenUp;
  const built = stage.build();
  stage.lock(built);
  const { note } = takeOver(stage.found, built);
  note.save(built.daemon.table, 1_700_000_000_000, () => false);
  Deno.statSync(path);
  takeOver(stage.found, stage.build());
  const told = stage.logged.filter((line) => line.includes("The last daemon was stopped at"));
  assert.equal(told.length, 1);
  assert.match(
    told[0] ?? "",
    /stopped at 2023-11-14T22:13:20Z and gave up 1 lock, whose guests have ended since$/,
  );
  assert.throws(() => Deno.statSync(path));
});
