import type { Applied } from "../../chassis/start/waiting_settings.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import type { Settings } from "../identity/settings.ts";
import type { Daemon } from "./daemon.ts";

/** How what waits comes into use. */
export const TAKEN_BY_RELOAD = `'${VIRTLOCKD.name} reload' takes it over, and drops no lock and no client`;

/** What becomes of each setting in a running lock daemon. */
export function appliedTo(daemon: Daemon): Applied<Settings> {
  return {
    logLevel: "logging",
    logFilters: "logging",
    logOutputs: "logging",
    maxClients: ({ maxClients }) =>
      daemon.lockServer.setLimits({ maxClients, maxAnonymousClients: maxClients }),
    adminMaxClients: ({ adminMaxClients: maxClients }) =>
      daemon.adminServer.setLimits({ maxClients, maxAnonymousClients: maxClients }),
    storageTimeout: ({ storageTimeout }) => {
      daemon.settings.storageTimeout = storageTimeout;
    },
    settleTimeout: ({ settleTimeout }) => {
      daemon.settings.settleTimeout = settleTimeout;
    },
    allowStaleResume: ({ allowStaleResume }) => {
      daemon.settings.allowStaleResume = allowStaleResume;
    },
    staleResumeGuests: ({ staleResumeGuests }) => {
      daemon.settings.staleResumeGuests = staleResumeGuests;
    },
    lockspaces: ({ lockspaces }) => {
      daemon.settings.lockDirectories = lockspaces;
    },
    clusterFenceCommand: ({ clusterFenceCommand }) => {
      daemon.settings.clusterFenceCommand = clusterFenceCommand;
      daemon.cluster?.refreshFencing();
    },
    clusterFenceTimeout: ({ clusterFenceTimeout }) => {
      daemon.settings.clusterFenceTimeout = clusterFenceTimeout;
    },
    clusterOnLost: ({ clusterOnLost }) => {
      daemon.settings.clusterOnLost = clusterOnLost;
    },
    // A membership begins with the process: `virtlockd reload` takes the next settings.
    clusterEndpoints: { waits: "cluster_endpoints" },
    clusterName: { waits: "cluster_name" },
    clusterLockspaces: { waits: "cluster_lockspaces" },
    clusterDevices: { waits: "cluster_devices" },
    clusterHostId: { waits: "cluster_host_id" },
    clusterCaFile: { waits: "cluster_ca_file" },
    clusterCertFile: { waits: "cluster_cert_file" },
    clusterKeyFile: { waits: "cluster_key_file" },
    clusterWait: { waits: "cluster_wait" },
    clusterStartWait: { waits: "cluster_start_wait" },
    clusterFenceData: { waits: "cluster_fence_data" },
    clusterTrustReboot: { waits: "cluster_trust_reboot" },
    clusterMistake: { waits: "what was wrong with a key of the cluster's" },
  };
}
