import type { Log } from "../../chassis/log/log.ts";
import { lockText } from "../lockspace/lock_text.ts";
import type { ClusterObserver } from "./cluster_observer.ts";
import { ONE_ETCD } from "./etcd/etcd_members.ts";
import { fencingLog } from "./fencing/fencing_log.ts";
import { lostGuestsLog } from "./reconcile/lost_guests_log.ts";

/** Writes to the log what becomes of this host's membership in a cluster. */
export function clusterLog(log: Log): ClusterObserver {
  return {
    clusterJoined: (session, cluster) =>
      log.warn(`This host is a member of its cluster: session ${session}, etcd ${cluster}`),
    clusterTroubled: (reason) =>
      log.error(
        `The cluster cannot be used: ${reason}. Guests that run go on; locks of the cluster's are refused until then`,
      ),
    clusterRecovered: () => log.warn("The cluster can be used again"),
    clusterCondemned: ({ by, from, at }) =>
      log.warn(
        `${by} on ${from} was about to fence this host at ${
          new Date(at).toISOString()
        }; it lives, and keeps its locks`,
      ),
    clusterFenced: ({ by, from, at }) =>
      log.error(
        `This host was fenced by ${by} on ${from} at ${
          new Date(at).toISOString()
        }: its locks of the cluster's may ` +
          "be other hosts' by now. It takes again what nobody has; guests whose locks are doubtful must be shut down",
      ),
    clusterLost: (reason) =>
      log.error(
        `This host is no member of its cluster any more, and nothing of the cluster's is locked: ${reason}. ` +
          "Guests that run go on; see docs/cluster.md",
      ),
    clusterDoubtful: (resource, reason) =>
      log.error(
        `${lockText(resource)} is not granted by the cluster: ${reason}. Two guests may write to one disk: ` +
          "look at both, and shut one down",
        { resource: resource.name, lockspace: resource.lockspace },
      ),
    clusterKeyRestored: (key) =>
      log.error(
        `Somebody has changed ${key} in etcd by hand. It is as it was; for a moment another host could have had the lock`,
      ),
    clusterKeyUnreadable: (wrong) =>
      log.error(
        `Somebody has written a key of this host's in etcd by hand, and nobody gets a lock by it: ${wrong}`,
      ),
    clusterRegained: (resource) =>
      log.warn(
        `${
          lockText(resource)
        } is granted by the cluster again. Another guest may have written to the disk meanwhile: ` +
          "check what is on it. Once it is paused, its guest is not resumed",
        { resource: resource.name, lockspace: resource.lockspace },
      ),
    clusterOfSeveral: (members) =>
      log.error(
        `cluster_endpoints has members of different etcds, and two hosts may get one lock: ${members}. ${ONE_ETCD}`,
      ),
    clusterUnsafe: (members) => log.error(`The cluster's etcd is not to be relied upon: ${members}`),
    ...fencingLog(log),
    ...lostGuestsLog(log),
    clusterUnknown: (key, { domain, uuid, pid }) =>
      log.warn(
        `etcd has a lock of this host for domain '${domain}' (uuid ${uuid}, pid ${pid}), of which this daemon knows ` +
          `nothing: ${key} is kept until that process has ended`,
      ),
    clusterUnknownShare: (key, { domain, uuid, pid }) =>
      log.error(
        `etcd has a shared lock of this host, first for domain '${domain}' (uuid ${uuid}, pid ${pid}), of which this ` +
          `daemon knows nothing: ${key} stays, for other guests of this host may share the disk. When none of them ` +
          "uses it any more, free it: 'cluster release NAME --force', with its name in 'cluster locks'",
      ),
  };
}
