import assert from "node:assert/strict";
import { defaultPaths } from "../../../../src/chassis/config/paths.ts";
import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import { lockPaths } from "../../../../src/lockd/identity/lock_paths.ts";

Deno.test("lockPaths() are where libvirt's daemon has its own, for root and for a session", () => {
  const request = { env: { HOME: "/home/u", XDG_RUNTIME_DIR: "/r" }, exists: () => false };
  assert.deepEqual(lockPaths(defaultPaths(VIRTLOCKD, { ...request, uid: 0 })), {
    restartState: "/run/virtlockd-restart-exec.json",
    givenUp: "/run/virtlockd-given-up.json",
    journalDir: "/run/libvirt/virtlockd-journal",
    lockspaces: "/run/libvirt/virtlockd-lockspaces.json",
  });
  assert.deepEqual(lockPaths(defaultPaths(VIRTLOCKD, { ...request, uid: 7 })), {
    restartState: "/r/libvirt/virtlockd-restart-exec.json",
    givenUp: "/r/libvirt/virtlockd-given-up.json",
    journalDir: "/r/libvirt/virtlockd-journal",
    lockspaces: "/r/libvirt/virtlockd-lockspaces.json",
  });
});
