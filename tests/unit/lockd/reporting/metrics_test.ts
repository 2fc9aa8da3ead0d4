import assert from "node:assert/strict";
import { VERSION } from "../../../../src/chassis/config/build_config.ts";
import { holding, resource } from "../programs/lock_fixture.ts";
import { Metrics } from "../../../../src/lockd/reporting/metrics.ts";

const GUEST = { owner: holding(42).owner, resource: resource({ id: 1 }) };

function counted(): Metrics {
  const metrics = new Metrics(1000);
  metrics.connected({ name: "virtlockd" });
  metrics.connected({ name: "virtlockd" });
  metrics.connected({ name: "admin" });
  metrics.served("lock", "AcquireResource", 0, 0.02);
  metrics.served("lock", "AcquireResource", 87, 0.02);
  metrics.served("lock", "ReleaseResource", 0, 30_000);
  metrics.refused({}, { kind: "not-held", resource: "r" });
  metrics.granted();
  metrics.granted();
  metrics.released();
  metrics.troubled();
  metrics.gone({ key: 42, pid: 42 }, 3, true);
  metrics.gone({ key: 43, pid: 43 }, 3, false);
  metrics.signalFailed();
  metrics.storageHung();
  metrics.storageHung();
  metrics.storageHelperEnded();
  metrics.gaveUp();
  for (const kind of ["stopped", "stopped", "killed"] as const) metrics.lostGuest({ kind, ...GUEST });
  metrics.lostGuest({ kind: "spared", reason: "why", ...GUEST });
  for (let count = 0; count < 3; count++) metrics.fencingDone();
  for (let count = 0; count < 2; count++) metrics.fencingFailed();
  metrics.earlierStartFenced();
  metrics.reExecuted(4711);
  metrics.reExecFailed("it is no virtlockd");
  metrics.begun("crash", 5, 2);
  metrics.begun("restart", 3, 0);
  metrics.begun("image", 9, 0);
  return metrics;
}

function requests(metrics: Metrics): unknown[] {
  return [...metrics.calls()].map(({ program, procedure, succeeded, failed, total }) => {
    return [program, procedure, succeeded, Object.fromEntries(failed), total];
  });
}

Deno.test("Metrics served() counts requests by procedure and result, and adds up their time", () => {
  const metrics = new Metrics(0);
  metrics.served("lock", "AcquireResource", 0, 0.5);
  metrics.served("admin", "ConnectOpen", 0, 1);
  metrics.served("lock", "AcquireResource", 87, 0.25);
  metrics.served("lock", "AcquireResource", 87, 0.25);
  metrics.served("lock", "AcquireResource", 38, 2);
  assert.deepEqual(requests(metrics), [
    ["lock", "AcquireResource", 1, { 38: 1, 87: 2 }, 3],
    ["admin", "ConnectOpen", 1, {}, 1],
  ]);
});

Deno.test("Metrics served() puts a time into the first bucket whose bound it does not exceed", () => {
  const metrics = new Metrics(0);
  for (const time of [0, 0.01, 0.010001, 0.1, 1, 9999, 10_000, 10_001, Infinity]) {
    metrics.served("lock", "x", 0, time);
  }
  const [calls] = [...metrics.calls()];
  assert.deepEqual(calls?.buckets, [2, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2]);
});

Deno.test("Metrics counts what the daemon's parts report", () => {
  const metrics = counted();
  assert.deepEqual(metrics.counts, {
    granted: 2,
    released: 1,
    releaseFailures: 1,
    holdersKilled: 1,
    holderSignalFailures: 1,
    storageHangs: 2,
    storageHelperFailures: 1,
    givenUp: 1,
    lostGuestsStopped: 2,
    lostGuestsKilled: 1,
    lostGuestsSpared: 1,
    fences: 3,
    fenceFailures: 2,
    rebootFences: 1,
    reExecs: 1,
    reExecFailures: 1,
    crashes: 1,
    restarts: 1,
    recovered: 8,
    lost: 2,
  });
  assert.deepEqual([...metrics.connections], [["virtlockd", 2], ["admin", 1]]);
  assert.deepEqual([...metrics.refusals], [["not-held", 1]]);
  assert.equal(metrics.stateBytes, 4711);
});

Deno.test("Metrics goes on from a snapshot that went through JSON", () => {
  const next = new Metrics(5000);
  next.restore(JSON.parse(JSON.stringify(counted().snapshot())));
  assert.equal(next.started, 1000);
  assert.equal(next.previousVersion, VERSION);
  assert.deepEqual(next.snapshot(), counted().snapshot());
  next.reExecuted(99);
  next.served("lock", "AcquireResource", 87, 1);
  assert.deepEqual(requests(next)[0], ["lock", "AcquireResource", 1, { 87: 2 }, 1.04]);
  assert.equal(next.counts.reExecs, 2);
  assert.equal(next.stateBytes, 99);
});

Deno.test("Metrics of a process that follows a crash goes on counting, and tells its own start", () => {
  for (const [kind, started] of [["crash", 5000], ["restart", 5000], ["image", 1000]] as const) {
    const next = new Metrics(5000);
    next.restore(counted().snapshot());
    next.begun(kind, 0, 0);
    assert.deepEqual([next.started, next.counting, next.counts.granted], [started, 1000, 2], kind);
  }
  const { counting: _, ...older } = counted().snapshot();
  const next = new Metrics(5000);
  next.restore(older);
  assert.equal(next.counting, 1000);
});

Deno.test("Metrics restore() takes what it can read of any snapshot", () => {
  for (
    const nothing of [undefined, null, "x", [], {}, { counts: 1, calls: {}, connections: [], refusals: null }]
  ) {
    const metrics = new Metrics(5000);
    metrics.restore(nothing);
    assert.deepEqual(metrics.snapshot(), new Metrics(5000).snapshot());
  }
  const snapshot = counted().snapshot();
  const metrics = new Metrics(5000);
  metrics.restore({
    ...snapshot,
    started: "yesterday",
    counting: -1,
    counts: { granted: 7, released: -1, unheardOf: 3, reExecs: null },
    connections: { virtlockd: 4, admin: NaN },
    calls: [null, { program: 1 }, { ...snapshot.calls[0], buckets: [1] }, snapshot.calls[1]],
  });
  assert.equal(metrics.started, 5000);
  assert.equal(metrics.counts.granted, 7);
  assert.equal(metrics.counts.released, 0);
  assert.equal(metrics.counts.reExecs, 0);
  assert.deepEqual([...metrics.connections], [["virtlockd", 4]]);
  assert.deepEqual(requests(metrics), [["lock", "ReleaseResource", 1, {}, 30_000]]);
});

Deno.test("Metrics restore() leaves out times that were measured in other buckets", () => {
  const metrics = new Metrics(0);
  metrics.restore({ ...counted().snapshot(), bounds: [1, 2, 3] });
  assert.deepEqual(requests(metrics), []);
  assert.equal(metrics.counts.granted, 2);
});
