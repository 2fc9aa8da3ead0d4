import assert from "node:assert/strict";
import { processText, stateText } from "../../../../../src/lockd/cli/shown/listed_lock.ts";
import type { HolderEntry, LockEntry } from "../../../../../src/lockd/status/status_document.ts";

const HOLDER: HolderEntry = { domain: "guest", uuid: "", id: 1, pid: 7, since: 0, times: 1 };
const LOCK: LockEntry = {
  id: 1,
  lockspace: "",
  resource: "/disk",
  path: "/disk",
  mode: "exclusive",
  autocreate: false,
  state: "held",
  kind: "ofd",
  holders: [HOLDER],
};

Deno.test("stateText() says why a lock is as it is, and what an inherited one does not outlive", () => {
  assert.equal(stateText(LOCK), "held");
  assert.equal(stateText({ ...LOCK, state: "lost", reason: "gone" }), "lost: gone");
  assert.equal(
    stateText({ ...LOCK, kind: "posix" }),
    "held (inherited from libvirt's daemon, will not survive a crash)",
  );
});

Deno.test("processText() says nothing of a holder that lives", () => {
  assert.equal(processText(HOLDER), undefined);
  assert.equal(processText({ ...HOLDER, process: "ended" }), "its owner has ended");
  assert.equal(processText({ ...HOLDER, process: "unjudged" }), "whether its owner lives cannot be told");
});
