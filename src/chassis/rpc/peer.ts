import { EINVAL, ENODATA, ENOPROTOOPT, ESRCH } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { PeerCredentials, ProcessSys, SocketSys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import type { Peer } from "./program.ts";

type PeerSys =
  & Pick<SocketSys, "peerCredentials" | "peerPidfd" | "peerSecurity">
  & Pick<ProcessSys, "pidfdOpen">;

/** Who is at the other end of an accepted socket, with a pidfd of it. */
export class SocketPeer implements Peer {
  readonly clientId: number;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly connectedAt: number;
  readonly security: string;
  readonly #ledger: DescriptorLedger;
  #pidfd: number;

  /** @param pidfd owned by the peer from now on; -1 when the process was gone */
  constructor(
    ledger: DescriptorLedger,
    clientId: number,
    credentials: PeerCredentials,
    security: string,
    connectedAt: number,
    pidfd: number,
  ) {
    this.#ledger = ledger;
    this.clientId = clientId;
    this.pid = credentials.pid;
    this.uid = credentials.uid;
    this.gid = credentials.gid;
    this.security = security;
    this.connectedAt = connectedAt;
    this.#pidfd = pidfd < 0 ? -1 : ledger.own(pidfd, "pidfd");
  }

  get pidfd(): number {
    return this.#pidfd;
  }

  /** Closes the pidfd. */
  release(): void {
    const pidfd = this.#pidfd;
    this.#pidfd = -1;
    if (pidfd >= 0) this.#ledger.close(pidfd);
  }
}

/**
 * What SO_PEERPIDFD says of a process: a pidfd; `gone`; `unknown` before Linux 6.5, which does not have it.
 * Any other -errno says nothing of the process, e.g. that there are no descriptors.
 */
export function askPeerPidfd(
  sys: Pick<SocketSys, "peerPidfd">,
  fd: number,
): { pidfd: number } | { errno: number } | "gone" | "unknown" {
  const pidfd = sys.peerPidfd(fd);
  if (pidfd >= 0) return { pidfd };
  // Kernels before 6.14 say EINVAL of one that nobody can wait for any more.
  if (pidfd === -ESRCH || pidfd === -EINVAL || pidfd === -ENODATA) return "gone";
  return pidfd === -ENOPROTOOPT ? "unknown" : { errno: -pidfd };
}

/**
 * A pidfd of the process that connected; -1 when it is gone.
 *
 * SO_PEERPIDFD (Linux 6.5) names the very process; before, pidfd_open on the pid right after accept is the
 * best there is. Where the first says that the process is gone its pid may be another one's by now.
 *
 * @throws SystemError when neither works, e.g. for lack of descriptors
 */
export function openPeerPidfd(sys: PeerSys, fd: number, pid: number): number {
  const direct = askPeerPidfd(sys, fd);
  if (direct === "gone") return -1;
  if (direct !== "unknown") {
    if ("pidfd" in direct) return direct.pidfd;
    throw new SystemError("getsockopt SO_PEERPIDFD", `process ${pid}`, direct.errno);
  }
  // A peer in a pid namespace that we cannot see has pid 0: it tells of no process.
  if (pid <= 0) return -1;
  const opened = sys.pidfdOpen(pid);
  return opened === -ESRCH ? -1 : must(opened, "pidfd_open", `process ${pid}`);
}

/** Credentials of the other end of a socket. @throws SystemError */
export function readCredentials(sys: PeerSys, fd: number): PeerCredentials {
  const credentials: PeerCredentials = { pid: 0, uid: 0, gid: 0 };
  must(sys.peerCredentials(fd, credentials), "getsockopt SO_PEERCRED", "client");
  return credentials;
}

/** Security context of the other end, "" where the kernel has none. */
export function readSecurity(sys: PeerSys, fd: number): string {
  const context = sys.peerSecurity(fd);
  return typeof context === "string" && context !== "unconfined" ? context : "";
}
