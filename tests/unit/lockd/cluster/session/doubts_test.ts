import assert from "node:assert/strict";
import {
  CHANGED_BY_HAND,
  HELD_BY_ANOTHER,
  isAnothers,
  isClustersDoubt,
  isGivenUp,
  isLoss,
  LEFT_BEHIND,
  LEFT_OUT,
  LOST_MEANWHILE,
  LOST_WHEN_GIVEN_UP,
  lostWhenFenced,
} from "../../../../../src/lockd/cluster/session/doubts.ts";

const REASONS = [
  lostWhenFenced("ann"),
  lostWhenFenced(""),
  LOST_MEANWHILE,
  CHANGED_BY_HAND,
  LOST_WHEN_GIVEN_UP,
  HELD_BY_ANOTHER,
  LEFT_BEHIND,
  LEFT_OUT,
  "why",
];

Deno.test("isLoss() tells what this host has lost from what two hosts have met with", () => {
  assert.deepEqual(
    REASONS.map(isLoss),
    [true, true, true, true, true, false, false, false, false],
  );
  assert.equal(
    lostWhenFenced("ann"),
    "another host of the cluster holds it, which this one has lost when it was fenced by ann",
  );
});

Deno.test("isClustersDoubt() knows a doubt again that an earlier daemon had", () => {
  const known = REASONS.map((reason) => ({ kind: "doubtful", reason } as const));
  assert.deepEqual(known.map(isClustersDoubt), [true, true, true, true, true, true, true, true, false]);
  assert.deepEqual(known.map(isAnothers), [true, true, true, true, true, true, false, false, false]);
  assert.deepEqual(known.map(isGivenUp), [false, false, false, false, false, false, true, true, false]);
  assert.equal(isClustersDoubt({ kind: "lost", reason: HELD_BY_ANOTHER }), false);
});
