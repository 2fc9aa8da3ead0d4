import type { Cluster } from "../cluster/cluster_parts.ts";

/** What tells for which hosts a lock counts. */
export type ReachingCluster = Pick<Cluster, "reachOf">;

/** Whether etcd has the lock of a file for this host, which an end of the daemon does not change. */
export function staysInCluster(
  { cluster }: { readonly cluster: ReachingCluster | undefined },
  path: string,
): boolean {
  return cluster?.reachOf(path) === "cluster";
}
