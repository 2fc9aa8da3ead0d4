import type { Settings } from "../identity/settings.ts";

/** What the configuration says of locks. It is changed at a reload, and holds from the next decision on. */
export interface CoreSettings {
  /** Time limit of an operation on storage that may hang, in seconds. */
  storageTimeout: number;
  /** Whether a paused guest may go on although another one has used its disk. */
  allowStaleResume: boolean;
  /**
   * How long the lock of an owner that is gone stays when nothing tells whether its writes have landed, in
   * seconds.
   */
  settleTimeout: number;
  /** Directories in which lease files are made, with what has to be mounted there. */
  lockDirectories: Settings["lockspaces"];
  /** Program that fences hosts of the cluster which are not heard of; undefined: none does. */
  clusterFenceCommand: Settings["clusterFenceCommand"];
  /** How long it may take, in seconds. */
  clusterFenceTimeout: number;
}

/** Those of a configuration. */
export function coreSettings(settings: Settings): CoreSettings {
  const { storageTimeout, allowStaleResume, settleTimeout, lockspaces: lockDirectories } = settings;
  const { clusterFenceCommand, clusterFenceTimeout } = settings;
  return {
    storageTimeout,
    allowStaleResume,
    settleTimeout,
    lockDirectories,
    clusterFenceCommand,
    clusterFenceTimeout,
  };
}
