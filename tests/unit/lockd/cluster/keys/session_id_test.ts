import assert from "node:assert/strict";
import {
  followingSession,
  isFollowing,
  isSameStart,
} from "../../../../../src/lockd/cluster/keys/session_id.ts";

const ID = "6ba7b810-9dad-41d1-80b4-00000000002a";

Deno.test("sessions that follow each other are of one start, and each has an id of its own", () => {
  const second = followingSession(ID);
  const third = followingSession(second);
  assert.deepEqual([second, third], [`${ID}.2`, `${ID}.3`]);
  assert.deepEqual([ID, second, third].map(isFollowing), [false, true, true]);
  for (const one of [ID, second, third]) {
    for (const other of [ID, second, third]) assert.ok(isSameStart(one, other));
    assert.ok(!isSameStart(one, "6ba7b810-9dad-41d1-80b4-00000000002b.2"));
  }
});
