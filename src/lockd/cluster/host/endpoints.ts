import type { Endpoints } from "../../../etcd/wire/link_messages.ts";
import { CLUSTER_DEFAULTS, type ClusterSettings } from "../../identity/cluster_settings.ts";
import type { Membership, Reach } from "./membership_file.ts";

/** How etcd is reached, as the configuration says it. */
export function endpointsOf(settings: ClusterSettings): Endpoints {
  const { clusterEndpoints, clusterCaFile, clusterCertFile, clusterKeyFile } = settings;
  return {
    urls: clusterEndpoints,
    ...clusterCaFile === undefined ? {} : { caFile: clusterCaFile },
    ...clusterCertFile === undefined ? {} : { certFile: clusterCertFile },
    ...clusterKeyFile === undefined ? {} : { keyFile: clusterKeyFile },
  };
}

/** The same as it is kept for a daemon whose configuration does not say it any more. */
export function reachOf(settings: ClusterSettings, host: string): Reach {
  const { urls, ...files } = endpointsOf(settings);
  return { host, endpoints: urls, ...files };
}

/** What the configuration said when that was kept. */
export function settingsOf({ cluster, spaces, reach }: Membership): ClusterSettings | undefined {
  if (reach === undefined) return undefined;
  return {
    ...CLUSTER_DEFAULTS,
    clusterEndpoints: reach.endpoints,
    clusterName: cluster,
    clusterLockspaces: new Map(spaces.map(({ name, directory }) => [name, directory])),
    clusterHostId: reach.host,
    clusterCaFile: reach.caFile,
    clusterCertFile: reach.certFile,
    clusterKeyFile: reach.keyFile,
  };
}
