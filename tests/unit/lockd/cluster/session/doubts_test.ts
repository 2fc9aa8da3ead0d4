import assert from "node:assert/strict";
import {
  CHANGED_BY_HAND,
  HELD_BY_ANOTHER,
  isClustersDoubt,
  isLoss,
  LEFT_BEHIND,
  LOST_MEANWHILE,
  lostWhenFenced,
} from "../../../../../src/lockd/cluster/session/doubts.ts";

const REASONS = [
  lostWhenFenced("ann"),
  lostWhenFenced(""),
  LOST_MEANWHILE,
  CHANGED_BY_HAND,
  HELD_BY_ANOTHER,
  LEFT_BEHIND,
  "why",
];

Deno.test("isLoss() tells what this host has lost from what two hosts have met with", () => {
  assert.deepEqual(
    REASONS.map(isLoss),
    [true, true, true, true, false, false, false],
  );
  assert.equal(
    lostWhenFenced("ann"),
    "another host of the cluster holds it, which this one has lost when it was fenced by ann",
  );
});

Deno.test("isClustersDoubt() knows a doubt again that an earlier daemon had", () => {
  const doubtful = (reason: string) => isClustersDoubt({ kind: "doubtful", reason });
  assert.deepEqual(
    REASONS.map(doubtful),
    [true, true, true, true, true, true, false],
  );
  assert.equal(isClustersDoubt({ kind: "lost", reason: HELD_BY_ANOTHER }), false);
});
