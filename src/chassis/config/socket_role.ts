/** What a listening socket is there for, by whom it lets in and for what. */
export type SocketRole = "read-write" | "read-only" | "admin";

/** Who may connect to a socket that the daemon itself makes. */
export interface SocketAccess {
  /** Permission bits of the file. */
  readonly mode: number;
  /** Group that owns the file, by name or number; undefined for that of the process. */
  readonly group: string | undefined;
}

/** Only the user that the daemon runs as. */
export const OWNER_ONLY: SocketAccess = { mode: 0o700, group: undefined };

/** A name for each role. */
type Names = Readonly<Record<SocketRole, string>>;

// All of libvirt's daemons name their sockets, and the units of these, in the same way.
const FILES: Names = { "read-write": "-sock", "read-only": "-sock-ro", admin: "-admin-sock" };
const UNITS: Names = { "read-write": ".socket", "read-only": "-ro.socket", admin: "-admin.socket" };

/** What the path of a socket ends with, behind the daemon's name. */
export function socketSuffix(role: SocketRole): string {
  return FILES[role];
}

/** The unit of a daemon's socket: the name under which systemd hands it over (LISTEN_FDNAMES). */
export function socketUnit(daemon: string, role: SocketRole): string {
  return daemon + UNITS[role];
}
