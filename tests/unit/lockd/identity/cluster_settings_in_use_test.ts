import assert from "node:assert/strict";
import { CLUSTER_DEFAULTS } from "../../../../src/lockd/identity/cluster_settings.ts";
import {
  isIdle,
  keysNotInUse,
  settingsInUse,
} from "../../../../src/lockd/identity/cluster_settings_in_use.ts";

const SETTINGS = {
  ...CLUSTER_DEFAULTS,
  clusterEndpoints: ["http://a:2379"],
  clusterLockspaces: new Map([["scsi", "/scsi"], ["lvm", "/lvm"]]),
};

Deno.test("settingsInUse() tells by its key what a daemon has until a reload, and nothing that SIGHUP takes", () => {
  assert.deepEqual(
    settingsInUse({
      ...SETTINGS,
      clusterOnLost: "kill",
      clusterFenceCommand: "/x",
      clusterFenceData: "ip=10.0.0.7",
    }),
    {
      cluster_endpoints: '["http://a:2379"]',
      cluster_name: '"default"',
      cluster_lockspaces: '{"lvm":"/lvm","scsi":"/scsi"}',
      cluster_devices: "false",
      cluster_trust_reboot: '"metal"',
    },
  );
});

Deno.test("keysNotInUse() names what the file has otherwise, but not directories in another order", () => {
  const inUse = settingsInUse(SETTINGS);
  const turned = new Map([["lvm", "/lvm"], ["scsi", "/scsi"]]);
  assert.deepEqual(
    keysNotInUse(inUse, { ...SETTINGS, clusterLockspaces: turned, clusterOnLost: "kill" }),
    [],
  );
  const changed = { ...SETTINGS, clusterLockspaces: new Map([["lvm", "/other"]]), clusterHostId: "h" };
  assert.deepEqual(keysNotInUse(inUse, changed), ["cluster_lockspaces", "cluster_host_id"]);
  // A key that was taken out of the file counts too.
  assert.deepEqual(keysNotInUse({ ...inUse, cluster_ca_file: '"/ca"' }, SETTINGS), ["cluster_ca_file"]);
});

Deno.test("isIdle() is true of a daemon that locks neither in directories nor devices for others", () => {
  assert.equal(isIdle(settingsInUse(CLUSTER_DEFAULTS)), true);
  assert.equal(isIdle(settingsInUse(SETTINGS)), false);
  assert.equal(isIdle(settingsInUse({ ...CLUSTER_DEFAULTS, clusterDevices: true })), false);
  // An older daemon does not tell.
  assert.equal(isIdle(undefined), false);
});
