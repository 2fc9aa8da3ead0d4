import assert from "node:assert/strict";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";

const KEYS = new ClusterKeys("prod");
const NAME = { space: "scsi", name: "360014" };

Deno.test("keys are what docs/cluster.md says", () => {
  assert.equal(KEYS.meta, "/virtlockd/prod/meta");
  assert.equal(KEYS.host("h"), "/virtlockd/prod/host/h");
  assert.equal(KEYS.session("s"), "/virtlockd/prod/session/s");
  assert.equal(KEYS.exclusive(NAME), "/virtlockd/prod/lock/scsi/360014");
  assert.equal(KEYS.sharers(NAME), "/virtlockd/prod/share/scsi/360014/");
  assert.equal(KEYS.share(NAME, "s"), "/virtlockd/prod/share/scsi/360014/s");
  assert.equal(KEYS.own("s", KEYS.exclusive(NAME)), "/virtlockd/prod/own/s/lock/scsi/360014");
});

Deno.test("the lock of an entry in a session's list is found again", () => {
  for (const key of [KEYS.exclusive(NAME), KEYS.share(NAME, "s")]) {
    assert.equal(KEYS.ofOwn("s", KEYS.own("s", key)), key);
  }
});
