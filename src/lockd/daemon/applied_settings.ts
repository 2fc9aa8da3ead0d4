import type { Applied } from "../../chassis/start/waiting_settings.ts";
import { UNTIL_RELOAD } from "../identity/cluster_settings_in_use.ts";
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
    clusterWait: ({ clusterWait }) => {
      daemon.settings.clusterWait = clusterWait;
    },
    clusterStartWait: ({ clusterStartWait }) => {
      daemon.settings.clusterStartWait = clusterStartWait;
    },
    // The session is written anew with it at its next proof.
    clusterFenceData: ({ clusterFenceData }) => {
      daemon.settings.clusterFenceData = clusterFenceData;
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
    clusterTrustNetworkDisks: ({ clusterTrustNetworkDisks }) => {
      daemon.settings.clusterTrustNetworkDisks = clusterTrustNetworkDisks;
    },
    // A membership begins with the process: `virtlockd reload` takes the next settings.
    clusterEndpoints: { waits: UNTIL_RELOAD.clusterEndpoints },
    clusterName: { waits: UNTIL_RELOAD.clusterName },
    clusterLockspaces: { waits: UNTIL_RELOAD.clusterLockspaces },
    clusterDevices: { waits: UNTIL_RELOAD.clusterDevices },
    clusterHostId: { waits: UNTIL_RELOAD.clusterHostId },
    clusterCaFile: { waits: UNTIL_RELOAD.clusterCaFile },
    clusterCertFile: { waits: UNTIL_RELOAD.clusterCertFile },
    clusterKeyFile: { waits: UNTIL_RELOAD.clusterKeyFile },
    clusterTrustReboot: { waits: UNTIL_RELOAD.clusterTrustReboot },
    clusterMistake: { waits: "what was wrong with a key of the cluster's" },
  };
}
