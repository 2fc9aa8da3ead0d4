import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";
import { parseConfigFile } from "../../../../src/chassis/config/config_file.ts";
import { loadSettings } from "../../../../src/chassis/config/settings.ts";
import { LOCK_SETTINGS } from "../../../../src/lockd/identity/settings.ts";

function load(text: string) {
  return loadSettings(LOCK_SETTINGS, parseConfigFile(text, "virtlockd.conf")).settings;
}

Deno.test("the lock daemon's settings without a file", () => {
  assert.deepEqual(load("# nothing\n"), {
    logLevel: undefined,
    logFilters: undefined,
    logOutputs: undefined,
    maxClients: 1024,
    adminMaxClients: 5000,
    storageTimeout: 10,
    settleTimeout: 30,
    allowStaleResume: false,
    staleResumeGuests: [],
    lockspaces: new Map(),
    clusterEndpoints: [],
    clusterName: "default",
    clusterLockspaces: new Map(),
    clusterDevices: false,
    clusterHostId: undefined,
    clusterWait: 5,
    clusterStartWait: 60,
    clusterCaFile: undefined,
    clusterCertFile: undefined,
    clusterKeyFile: undefined,
    clusterFenceCommand: undefined,
    clusterFenceTimeout: 60,
    clusterFenceData: undefined,
    clusterOnLost: "report",
    clusterTrustNetworkDisks: false,
    clusterTrustReboot: "metal",
    clusterMistake: undefined,
  });
});

Deno.test("the lock daemon's settings with each of its own keys", () => {
  const text = `
    storage_timeout = 60
    settle_timeout = 5
    allow_stale_resume = 1
    stale_resume_guests = [ "web1", "6ba7b810-9dad-41d1-80b4-00000000002a" ]
    lockspaces = [ "/srv/a=nas:/a", '/srv/b', ]
  `;
  const { storageTimeout, settleTimeout, allowStaleResume, staleResumeGuests, lockspaces } = load(text);
  assert.deepEqual(staleResumeGuests, ["web1", "6ba7b810-9dad-41d1-80b4-00000000002a"]);
  assert.deepEqual([storageTimeout, settleTimeout, allowStaleResume], [60, 5, true]);
  assert.deepEqual([...lockspaces], [["/srv/a", "nas:/a"], ["/srv/b", undefined]]);
});

Deno.test("LOCK_SETTINGS names every key of the file", () => {
  assert.deepEqual([...LOCK_SETTINGS.keys.keys()], [
    "log_level",
    "log_filters",
    "log_outputs",
    "max_clients",
    "admin_max_clients",
    "storage_timeout",
    "settle_timeout",
    "allow_stale_resume",
    "stale_resume_guests",
    "lockspaces",
    "cluster_endpoints",
    "cluster_name",
    "cluster_lockspaces",
    "cluster_devices",
    "cluster_host_id",
    "cluster_wait",
    "cluster_start_wait",
    "cluster_ca_file",
    "cluster_cert_file",
    "cluster_key_file",
    "cluster_fence_command",
    "cluster_fence_timeout",
    "cluster_fence_data",
    "cluster_on_lost",
    "cluster_trust_network_disks",
    "cluster_trust_reboot",
  ]);
});

Deno.test("directories of lockspaces have no slashes at their end", () => {
  const { lockspaces } = load('lockspaces = ["/srv/a//", "/srv/b/=//nas/share", "/=x", "/c=UUID=1"]');
  assert.deepEqual([...lockspaces], [
    ["/srv/a", undefined],
    ["/srv/b", "//nas/share"],
    ["/", "x"],
    ["/c", "UUID=1"],
  ]);
  assert.deepEqual([...load("lockspaces = []").lockspaces], []);
});

Deno.test("what names no directory of a lockspace is refused", () => {
  const wanted = 'strings "/DIRECTORY" or "/DIRECTORY=SOURCE" for "lockspaces"';
  for (const item of ['"srv/a"', '""', '"/srv/a="', "1", '["/a"]']) {
    assert.throws(
      () => load(`lockspaces = [ ${item} ]`),
      (error: unknown) => error instanceof ConfigError && error.message.includes(wanted),
      item,
    );
  }
  assert.throws(() => load('lockspaces = "/srv"'), /a list of strings for "lockspaces"/);
});

Deno.test("the lock daemon's own keys have limits", () => {
  assert.equal(load("storage_timeout = 1").storageTimeout, 1);
  assert.equal(load("storage_timeout = 3600").storageTimeout, 3600);
  assert.equal(load("settle_timeout = 0").settleTimeout, 0);
  assert.equal(load("settle_timeout = 86400").settleTimeout, 86400);
  for (
    const wrong of [
      "storage_timeout = 0",
      "storage_timeout = 3601",
      "settle_timeout = -1",
      "settle_timeout = 86401",
      "allow_stale_resume = 2",
    ]
  ) assert.throws(() => load(wrong), /^ConfigError: virtlockd.conf:1: expected an integer from /, wrong);
});

Deno.test("guests that may be resumed are named in a list", () => {
  for (
    const wrong of [
      'stale_resume_guests = "web1"',
      'stale_resume_guests = [ "" ]',
      "stale_resume_guests = [ 1 ]",
    ]
  ) {
    assert.throws(() => load(wrong), { name: "ConfigError" }, wrong);
  }
});
