import type { Endpoints } from "../../etcd/wire/link_messages.ts";
import type { ClusterSettings } from "../identity/cluster_settings.ts";

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
