import assert from "node:assert/strict";
import { appliedTo } from "../../../../src/lockd/daemon/applied_settings.ts";
import { LOCK_SETTINGS } from "../../../../src/lockd/identity/settings.ts";
import { closeParts, daemonParts } from "../../../support/daemon_parts.ts";

const ROOT = new URL("../../../../", import.meta.url).pathname;

/** The key of `virtlockd.conf` for a setting. */
function keyOf(setting: string): string {
  return setting.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Keys that SIGHUP takes over, those of the logging too. */
function taken(): string[] {
  const daemon = daemonParts();
  const effects = Object.entries(appliedTo(daemon)).filter(([, effect]) => typeof effect !== "object");
  closeParts(daemon);
  return effects.map(([setting]) => keyOf(setting)).sort();
}

/** What a page has between two texts. */
function passage(page: string, begin: string, end: string): string {
  const text = Deno.readTextFileSync(`${ROOT}docs/${page}`);
  const start = text.indexOf(begin) + begin.length;
  const stop = text.indexOf(end, start);
  assert.ok(start >= begin.length && stop > start, `${page}: no "${begin}" with "${end}" behind it`);
  return text.slice(start, stop);
}

/** The keys of a list, in which one that ends with `_` stands for all that begin so. */
function named(list: string): string[] {
  const names = [...list.matchAll(/`([a-z_]+)`/g)].map(([, name = ""]) => name);
  return names.flatMap((name) =>
    name.endsWith("_") ? [...LOCK_SETTINGS.keys.keys()].filter((key) => key.startsWith(name)) : [name]
  ).sort();
}

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
  const { length } = waiting.filter(([setting, key]) =>
    LOCK_SETTINGS.keys.has(key) && key === keyOf(setting)
  );
  // What was wrong with a key is none.
  assert.deepEqual([length, waiting.length], [9, 10]);
  closeParts(daemon);
});

Deno.test("the pages name the keys that SIGHUP takes over, and no others", () => {
  const row = passage(
    "operating.md",
    "| SIGHUP (`systemctl kill --kill-whom=main -s HUP virtlockd`) |",
    " |\n",
  );
  assert.match(row, /^ *logging, limits of clients, `/);
  const worded = [
    ...["log_level", "log_filters", "log_outputs"],
    ...["max_clients", "admin_max_clients"],
  ];
  assert.deepEqual([...worded, ...named(row)].sort(), taken());
  assert.deepEqual(
    named(passage("cluster.md", " SIGHUP takes ", ", and names in a warning")),
    taken().filter((key) => key.startsWith("cluster_")),
  );
});
