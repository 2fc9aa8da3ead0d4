import type { SocketAccess } from "../../chassis/config/socket_role.ts";
import type { Settings } from "../identity/settings.ts";
import type { AuthMethod } from "../programs/authentication.ts";

/** Who may open the sockets that the daemon makes itself, and what is asked of them. */
export interface SocketRights {
  /** What clients of the read-only socket, or of the other one, have to do, besides root. */
  readonly method: (readOnly: boolean) => AuthMethod;
  readonly readOnly: SocketAccess;
  readonly readWrite: SocketAccess;
  readonly admin: SocketAccess;
  /** What an administrator should know. */
  readonly warnings: readonly string[];
}

const OWNER = 0o700;
const EVERYBODY = 0o777;
const OTHERS = 0o007;

/**
 * Decides it from the configuration and from what the host has. Without anybody to ask, sockets are for their
 * owner alone, and who comes another way is refused.
 *
 * @param privileged whether this is the host's daemon, and not that of a session
 * @param polkit whether polkit can be asked
 */
export function socketRights(settings: Settings, privileged: boolean, polkit: boolean): SocketRights {
  const { auth, authReadOnly, permissions, readOnlyPermissions, adminPermissions, socketGroup } = settings;
  const wanted = (set: Settings["auth"]): AuthMethod => set ?? (privileged ? "polkit" : "none");
  const methods = { readOnly: wanted(authReadOnly), readWrite: wanted(auth) };
  const access = (set: number | undefined, method: AuthMethod, without: number): SocketAccess => {
    const mode = method === "none" ? set ?? without : polkit ? set ?? EVERYBODY : OWNER;
    return { mode, group: socketGroup };
  };
  const readWrite = access(permissions, methods.readWrite, OWNER);
  const warnings: string[] = [];
  if (privileged && !polkit && Object.values(methods).includes("polkit")) {
    warnings.push("Polkit is not installed (pkcheck and polkitd): only root may connect");
  }
  if (privileged && methods.readWrite === "none" && (readWrite.mode & OTHERS) !== 0) {
    warnings.push(
      "auth_unix_rw is none and unix_sock_rw_perms let everybody connect: each user of this host is as good as root",
    );
  }
  return {
    method: (readOnly) => readOnly ? methods.readOnly : methods.readWrite,
    readOnly: access(readOnlyPermissions, methods.readOnly, privileged ? EVERYBODY : OWNER),
    readWrite,
    admin: { mode: adminPermissions, group: undefined },
    warnings,
  };
}
