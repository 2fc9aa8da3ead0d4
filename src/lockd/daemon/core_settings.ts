import { parseUuid } from "../../chassis/wire/uuid.ts";
import type { Settings } from "../identity/settings.ts";
import type { Owner } from "../lockspace/owner.ts";

/** What the configuration says of locks. It is changed at a reload, and holds from the next decision on. */
export interface CoreSettings {
  /** Time limit of an operation on storage that may hang, in seconds. */
  storageTimeout: number;
  /** Whether a paused guest may go on although another one has used its disk. */
  allowStaleResume: boolean;
  /** Guests that may in any case, by their names or uuids. */
  staleResumeGuests: readonly string[];
  /**
   * How long the lock of an owner that is gone stays when nothing tells whether its writes have landed, in
   * seconds.
   */
  settleTimeout: number;
  /** Directories in which lease files are made, with what has to be mounted there. */
  lockDirectories: Settings["lockspaces"];
  /** How long a guest waits for other hosts that are about to give up its locks, in seconds. */
  clusterWait: number;
  /** How long guests that are started with their host wait until it is a member, in seconds. */
  clusterStartWait: number;
  /** What a program has to know of this host that fences it; undefined: nothing. */
  clusterFenceData: Settings["clusterFenceData"];
  /** Program that fences hosts of the cluster which are not heard of; undefined: none does. */
  clusterFenceCommand: Settings["clusterFenceCommand"];
  /** How long it may take, in seconds. */
  clusterFenceTimeout: number;
  /** What is done with guests whose lock another host has got. */
  clusterOnLost: Settings["clusterOnLost"];
  /** Whether what a guest has written over the network counts as written when its process is gone. */
  clusterTrustNetworkDisks: boolean;
}

/** Those of a configuration. */
export function coreSettings(settings: Settings): CoreSettings {
  const { storageTimeout, allowStaleResume, staleResumeGuests, settleTimeout, lockspaces: lockDirectories } =
    settings;
  const { clusterWait, clusterStartWait, clusterFenceData } = settings;
  const { clusterFenceCommand, clusterFenceTimeout, clusterOnLost, clusterTrustNetworkDisks } = settings;
  return {
    storageTimeout,
    allowStaleResume,
    staleResumeGuests,
    settleTimeout,
    lockDirectories,
    clusterWait,
    clusterStartWait,
    clusterFenceData,
    clusterFenceCommand,
    clusterFenceTimeout,
    clusterOnLost,
    clusterTrustNetworkDisks,
  };
}

/** Whether a paused guest may go on although another one has used its disk. */
export function mayResumeStale(
  { allowStaleResume, staleResumeGuests }: Pick<CoreSettings, "allowStaleResume" | "staleResumeGuests">,
  { name, uuid }: Pick<Owner, "name" | "uuid">,
): boolean {
  if (allowStaleResume) return true;
  const own = parseUuid(uuid)?.join();
  return staleResumeGuests.some((guest) =>
    guest === name || (own !== undefined && parseUuid(guest)?.join() === own)
  );
}
