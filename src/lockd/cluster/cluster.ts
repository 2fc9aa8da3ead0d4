import { bootId } from "../../os/host_facts.ts";
import { readSmallFile } from "../../os/read_file.ts";
import type { Cluster, ClusterParts } from "./cluster_parts.ts";
import { Member } from "./member.ts";
import { MembershipFile } from "./membership_file.ts";
import { ClusterNames, type ClusterSpace } from "./names.ts";
import { refusingFiles } from "./refusing_files.ts";

/** Names of what a cluster has beside the daemon's sockets. */
export const LINK_SOCKET = "virtlockd-cluster-sock";
/** See {@link ClusterParts.membershipFile}. */
export const MEMBERSHIP_FILE = "virtlockd-cluster.json";

const MACHINE_ID = "/etc/machine-id";

/**
 * This host in a cluster, as the configuration or the last daemon says.
 *
 * @returns undefined for a host that is in none
 */
export function clusterOf(parts: ClusterParts): Cluster | undefined {
  const { sys, settings, membershipFile } = parts;
  const { clusterMistake: mistake, clusterEndpoints, clusterName, clusterLockspaces } = settings;
  const named = mistake !== undefined || clusterEndpoints.length > 0 || clusterLockspaces.size > 0;
  if (!named && sys.access(membershipFile, 0) !== 0) return undefined;
  const boot = bootId(sys);
  const file = new MembershipFile(sys, membershipFile);
  const before = file.load(boot);
  const spaces = [...clusterLockspaces].map(([name, directory]) => ({ name, directory }));
  if (mistake !== undefined) return broken(parts, before?.spaces, mistake);
  if (clusterEndpoints.length === 0) {
    if (before === undefined && spaces.length === 0) return undefined;
    const reason = before === undefined
      ? "cluster_lockspaces is set and cluster_endpoints is not"
      : `this host is a member of cluster ${before.cluster} since it was started, and virtlockd.conf names no ` +
        `cluster_endpoints: set them again, or remove ${file.path} if no other host uses these disks`;
    return broken(parts, before?.spaces ?? spaces, reason);
  }
  if (before !== undefined && before.cluster !== clusterName) {
    const reason =
      `this host is a member of cluster ${before.cluster} since it was started, and cluster_name is ` +
      `${clusterName}`;
    return broken(parts, [...before.spaces, ...spaces], reason);
  }
  const host = settings.clusterHostId ?? readSmallFile(sys, MACHINE_ID)?.trim() ?? "";
  if (host === "") return broken(parts, spaces, `${MACHINE_ID} has no id: set cluster_host_id`);
  return new Member(parts, { file, boot, host, spaces, known: before?.session, seen: before?.seen });
}

function broken(
  { files, settings, observer }: ClusterParts,
  spaces: readonly ClusterSpace[] | undefined,
  reason: string,
): Cluster {
  const names = spaces === undefined ? undefined : new ClusterNames(spaces);
  const why = `this host cannot be a member of its cluster: ${reason}`;
  return {
    files: refusingFiles(files, names, why),
    status: {
      name: settings.clusterName,
      host: "",
      session: "",
      state: "broken",
      reason,
      locks: 0,
      releasing: 0,
      unknown: 0,
    },
    others: undefined,
    begin: () => observer.clusterLost(reason),
    close: () => {},
  };
}
