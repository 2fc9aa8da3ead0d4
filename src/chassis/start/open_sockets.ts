import type { Sys } from "../../os/sys.ts";
import { F_SETFD, F_SETFL, FD_CLOEXEC, O_NONBLOCK, O_RDWR, SO_ACCEPTCONN } from "../../os/constants.ts";
import type { Identity } from "../config/identity.ts";
import { type SocketAccess, type SocketRole, socketSuffix, socketUnit } from "../config/socket_role.ts";
import type { NamedDescriptor } from "../systemd/activation.ts";
import type { Listener } from "../rpc/listener.ts";
import { listenOn } from "./sockets.ts";

/** A socket of the daemon. */
export interface DaemonSocket {
  readonly role: SocketRole;
  /** Where it is if nobody has made it elsewhere. */
  readonly path: string;
  readonly access: SocketAccess;
  /** Who accepts there. One server may have several sockets. */
  readonly server: { readonly listeners: readonly Listener[]; listen(listener: Listener): void };
}

/**
 * Gives every server its listening sockets: those that the service manager has handed over, and where neither
 * it nor an earlier image has left one, one that is made now.
 *
 * @param descriptors what the service manager has handed over; those that are no socket of ours stay alone
 * @param tried makes one of the sockets; decides whether its failure matters
 */
export function openSockets(
  sys: Sys,
  identity: Pick<Identity, "name" | "sockets">,
  sockets: readonly DaemonSocket[],
  descriptors: readonly NamedDescriptor[],
  tried: (open: () => void) => void,
): void {
  for (const { fd, name } of descriptors) {
    const role = socketRole(sys, fd, name, identity);
    const socket = sockets.find((each) => each.role === role);
    if (socket !== undefined) socket.server.listen(adoptListener(sys, fd, socket));
  }
  for (const { role, path, access, server } of sockets) {
    if (server.listeners.some((listener) => listener.role === role)) continue;
    tried(() => server.listen(listenOn(sys, { role, path, access })));
  }
}

/**
 * Tells what an inherited descriptor is: by its name, or, where the service manager gave none, by its path.
 *
 * @returns undefined when it is not a listening Unix socket of ours
 */
export function socketRole(
  sys: Pick<Sys, "socketOption" | "socketPath">,
  fd: number,
  name: string,
  { name: daemon, sockets }: Pick<Identity, "name" | "sockets">,
): SocketRole | undefined {
  if (sys.socketOption(fd, SO_ACCEPTCONN) !== 1) return undefined;
  const named = sockets.find((role) => socketUnit(daemon, role) === name);
  if (named !== undefined) return named;
  const path = sys.socketPath(fd);
  if (typeof path !== "string" || path === "") return undefined;
  const [likely] = sockets.filter((role) => path.endsWith(socketSuffix(role)))
    // One ending may end with another one.
    .sort((one, other) => socketSuffix(other).length - socketSuffix(one).length);
  return likely ?? sockets[0];
}

/** Makes an inherited listening socket fit for the event loop. It is not unlinked at exit. */
export function adoptListener(
  sys: Pick<Sys, "fcntl" | "socketPath">,
  fd: number,
  { role, access }: Pick<Listener, "role" | "access">,
): Listener {
  sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
  sys.fcntl(fd, F_SETFL, O_NONBLOCK | O_RDWR);
  const path = sys.socketPath(fd);
  return { fd, role, path: typeof path === "string" ? path : "", access, unlink: false };
}
