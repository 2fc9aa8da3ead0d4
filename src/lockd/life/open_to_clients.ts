import { OWNER_ONLY } from "../../chassis/config/socket_role.ts";
import { openSockets } from "../../chassis/start/open_sockets.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import type { Found } from "./found.ts";
import { unless } from "./unless.ts";

/**
 * Listens. Clients wait in the sockets until {@link begin}.
 *
 * @throws StartError when a socket cannot be made and nothing is lost if this daemon ends
 */
export function openToClients({ parts: { sys }, beginning }: Found, daemon: Daemon): void {
  const { handed, returned, complaints, context: { paths } } = beginning;
  const holds = handed !== undefined || daemon.table.resourceCount > 0;
  openSockets(
    sys,
    VIRTLOCKD,
    [
      { role: "read-write", path: paths.socket, access: OWNER_ONLY, server: daemon.lockServer },
      { role: "admin", path: paths.adminSocket, access: OWNER_ONLY, server: daemon.adminServer },
    ],
    returned,
    (open) => unless(() => holds, open, (message) => void complaints.push(message)),
  );
  for (const complaint of complaints) daemon.log.error(`Started in spite of this: ${complaint}`);
}

/** Those of the service manager stay. */
export function unlinkSockets({ sys, servers }: Daemon): void {
  for (const server of servers) {
    for (const { path, unlink } of server.listeners) if (unlink) sys.unlink(path);
  }
}
