import assert from "node:assert/strict";
import {
  ASK_MS,
  AWAY_MS,
  HEARD_SECONDS,
  OBJECTION_MS,
  PROOF_MS,
} from "../../../../../src/lockd/cluster/session/cluster_times.ts";

Deno.test("a host that lives has seen that it is condemned, and has time to write its session, before it is fenced", () => {
  const seen = PROOF_MS + ASK_MS;
  assert.ok(seen < OBJECTION_MS, `${seen} ms of ${OBJECTION_MS}`);
});

Deno.test("a host that misses two proofs, and is late with the third, is heard of all the time", () => {
  assert.ok(HEARD_SECONDS * 1000 > 3 * PROOF_MS, `${HEARD_SECONDS} s`);
});

Deno.test("one question that is not answered in time is no etcd that is away", () => {
  assert.ok(ASK_MS < AWAY_MS, `${ASK_MS} ms of ${AWAY_MS}`);
});

Deno.test("an idle host whose questions are answered never takes etcd for away", () => {
  assert.ok(PROOF_MS < AWAY_MS, `${PROOF_MS} ms of ${AWAY_MS}`);
});
