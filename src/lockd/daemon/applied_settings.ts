import type { Applied } from "../../chassis/start/reload.ts";
import type { Settings } from "../identity/settings.ts";
import type { Daemon } from "./daemon.ts";

/** What becomes of each setting in a running lock daemon. */
export function appliedTo(daemon: Daemon): Applied<Settings> {
  return {
    // Decided together with the environment and the command line.
    logLevel: undefined,
    logFilters: undefined,
    logOutputs: undefined,
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
    clusterEndpoints: undefined,
    clusterName: undefined,
    clusterLockspaces: undefined,
    clusterDevices: undefined,
    clusterHostId: undefined,
    clusterCaFile: undefined,
    clusterCertFile: undefined,
    clusterKeyFile: undefined,
    clusterWait: undefined,
    clusterStartWait: undefined,
    clusterFenceData: undefined,
    clusterTrustReboot: undefined,
    clusterMistake: undefined,
  };
}
