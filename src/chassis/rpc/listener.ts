import type { SocketAccess, SocketRole } from "../config/socket_role.ts";

/** A listening socket. */
export interface Listener {
  /** Owned by the server that it is given to. */
  readonly fd: number;
  readonly role: SocketRole;
  readonly path: string;
  /** Who may connect if it has to be made anew. */
  readonly access: SocketAccess;
  /** Whether the path is ours to unlink at exit: false for one that systemd handed over. */
  readonly unlink: boolean;
}
