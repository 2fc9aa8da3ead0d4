import { FENCE_SOCKET } from "../../cluster/cluster.ts";
import { VIRTLOCKD } from "../../identity/identity.ts";
import { defaultPaths, type Paths } from "../../../chassis/config/paths.ts";

/** Where libvirt and its lock daemon have their files, seen from the root of the host. */
export interface LibvirtPlaces {
  /** With qemu.conf, qemu-lockd.conf and qemu/. */
  readonly config: string;
  /** With the live state of guests, NAME.xml. */
  readonly guests: string;
  /** With storage pools: those that are defined, and those that are active. */
  readonly pools: readonly string[];
  /** Configuration file of virtlockd. */
  readonly daemonConfig: string;
  /** PID file of virtlockd. */
  readonly pidFile: string;
  /** Socket of virtlockd for libvirt. */
  readonly socket: string;
  /** Admin socket of virtlockd. */
  readonly adminSocket: string;
  /** Where a process is started that fences a host of the cluster. */
  readonly fenceSocket: string;
}

/**
 * The places of root's libvirt, or of a user's session.
 *
 * @param exists chooses between the two configuration files that a session may have
 * @throws ConfigError when the environment does not tell where a session has its files
 */
export function libvirtPlaces(
  uid: number,
  env: Readonly<Record<string, string | undefined>>,
  exists: (path: string) => boolean,
): LibvirtPlaces {
  const paths: Paths = defaultPaths(VIRTLOCKD, { uid, env, exists: () => false });
  const config = paths.config.slice(0, paths.config.lastIndexOf("/"));
  // libvirt keeps what runs in a session one level deeper.
  const live = uid === 0 ? "" : "/run";
  return {
    config,
    guests: `${paths.runDir}/qemu${live}`,
    pools: [`${config}/storage`, `${paths.runDir}/storage${live}`],
    daemonConfig: defaultPaths(VIRTLOCKD, { uid, env, exists }).config,
    pidFile: paths.pidFile,
    socket: paths.socket,
    adminSocket: paths.adminSocket,
    fenceSocket: `${paths.runDir}/${FENCE_SOCKET}`,
  };
}
