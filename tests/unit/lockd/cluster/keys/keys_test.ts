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

Deno.test("a mark is of a process, and of a domain where nothing tells the process", () => {
  const guest = { pid: 7, start: 9, uuid: "u-1" };
  assert.equal(KEYS.paused(NAME, "s", guest), "/virtlockd/prod/paused/scsi/360014/s/7.9");
  const xen = { pid: 0, start: 0, uuid: "u-1" };
  assert.equal(KEYS.paused(NAME, "s", xen), "/virtlockd/prod/paused/scsi/360014/s/0.0.u-1");
  for (const each of [guest, xen]) {
    assert.equal(KEYS.pausedOf(KEYS.exclusive(NAME), "s", each), KEYS.paused(NAME, "s", each));
  }
});

Deno.test("the lock of an entry in a session's list is found again", () => {
  for (const key of [KEYS.exclusive(NAME), KEYS.share(NAME, "s")]) {
    assert.equal(KEYS.ofOwn("s", KEYS.own("s", key)), key);
  }
});
