import assert from "node:assert/strict";
import { appliedTo } from "../../../../src/lockd/daemon/applied_settings.ts";
import { LOCK_SETTINGS } from "../../../../src/lockd/identity/settings.ts";
import { closeParts, daemonParts } from "../../../support/daemon_parts.ts";

Deno.test("appliedTo() changes what the lock core obeys from the next decision on, and the limits of both servers", () => {
  const daemon = daemonParts();
  const applied = appliedTo(daemon);
  const settings = {
    ...LOCK_SETTINGS.defaults,
    maxClients: 7,
    adminMaxClients: 3,
    storageTimeout: 11,
    settleTimeout: 12,
    allowStaleResume: true,
    staleResumeGuests: ["web1"],
    lockspaces: new Map([["/leases", "nfs:/leases"]]),
    clusterWait: 13,
    clusterStartWait: 14,
    clusterFenceData: "ip=10.0.0.7",
    clusterFenceCommand: "/etc/libvirt/fence",
    clusterFenceTimeout: 90,
    clusterOnLost: "kill" as const,
    clusterTrustNetworkDisks: true,
  };
  for (const effect of Object.values(applied)) if (typeof effect === "function") effect(settings);
  assert.deepEqual(daemon.settings, {
    storageTimeout: 11,
    settleTimeout: 12,
    allowStaleResume: true,
    staleResumeGuests: ["web1"],
    lockDirectories: new Map([["/leases", "nfs:/leases"]]),
    clusterWait: 13,
    clusterStartWait: 14,
    clusterFenceData: "ip=10.0.0.7",
    clusterFenceCommand: "/etc/libvirt/fence",
    clusterFenceTimeout: 90,
    clusterOnLost: "kill",
    clusterTrustNetworkDisks: true,
  });
  assert.deepEqual(daemon.servers.map(({ limits }) => limits.maxClients), [7, 3]);
  closeParts(daemon);
});

Deno.test("appliedTo() names what waits by its key", () => {
  const daemon = daemonParts();
  const waiting = Object.entries(appliedTo(daemon)).flatMap(([setting, effect]) =>
    typeof effect === "object" ? [[setting, effect.waits] as const] : []
  );
  const { length } = waiting.filter(([setting, key]) => {
    const words = setting.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return LOCK_SETTINGS.keys.has(key) && key === words;
  });
  // What was wrong with a key is none.
  assert.deepEqual([length, waiting.length], [9, 10]);
  closeParts(daemon);
});
