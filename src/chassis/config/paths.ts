import { LOCALSTATEDIR, RUNSTATEDIR, SYSCONFDIR } from "./build_config.ts";
import { ConfigError } from "./config_error.ts";
import type { Identity } from "./identity.ts";
import { quote } from "./quote.ts";
import { type SocketRole, socketSuffix } from "./socket_role.ts";

/** Every file of the daemon, as absolute paths. */
export interface Paths {
  /** Configuration file; it need not exist. */
  readonly config: string;
  /** Socket of the programs that the daemon is there for. */
  readonly socket: string;
  /** Socket for clients that may only look; not every daemon has one. */
  readonly readOnlySocket: string;
  /** Socket of the admin program. */
  readonly adminSocket: string;
  /** PID file: whoever has it is the daemon. */
  readonly pidFile: string;
  /** How often the daemon has failed to start, as long as it does. */
  readonly startFailures: string;
  /** Log file of a background daemon where there is no journald. */
  readonly logFile: string;
  /** Directory of the sockets, made at start. */
  readonly runDir: string;
  /** Directory of what a daemon leaves for its next life. */
  readonly stateDir: string;
}

/** Whose paths are wanted. */
export interface PathsRequest {
  /** Effective user id; 0 has the host's paths, everybody else those of their session. */
  readonly uid: number;
  /** The environment: HOME and the XDG variables are read, for a session only. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a file exists; chooses between the two configuration files that a session may have. */
  readonly exists: (path: string) => boolean;
}

/**
 * Where a daemon's files are by default. docs/behaviour.md, Files.
 *
 * @throws ConfigError naming the variables when a session has neither HOME nor the XDG variable, or naming
 *   the one that is not an absolute path
 */
export function defaultPaths({ name }: Pick<Identity, "name">, request: PathsRequest): Paths {
  return request.uid === 0 ? hostPaths(name) : sessionPaths(name, request);
}

function hostPaths(name: string): Paths {
  const runDir = `${RUNSTATEDIR}/libvirt`;
  return {
    config: `${SYSCONFDIR}/libvirt/${name}.conf`,
    ...sockets(name, runDir),
    pidFile: `${RUNSTATEDIR}/${name}.pid`,
    stateDir: RUNSTATEDIR,
    startFailures: `${RUNSTATEDIR}/${name}-start-failures`,
    logFile: `${LOCALSTATEDIR}/log/libvirt/${name}.log`,
  };
}

function sessionPaths(name: string, { env, exists }: PathsRequest): Paths {
  const configHome = userDirectory(env, "XDG_CONFIG_HOME", ".config");
  const cacheHome = userDirectory(env, "XDG_CACHE_HOME", ".cache");
  // libvirtd looks for the socket in the cache where there is no runtime directory; so must this daemon.
  const runDir = `${absolute(env, "XDG_RUNTIME_DIR") ?? cacheHome}/libvirt`;
  const candidates = [`${configHome}/libvirt/${name}.conf`, `${configHome}/${name}.conf`] as const;
  return {
    config: candidates.find(exists) ?? candidates[0],
    ...sockets(name, runDir),
    pidFile: `${runDir}/${name}.pid`,
    stateDir: runDir,
    startFailures: `${runDir}/${name}-start-failures`,
    logFile: `${cacheHome}/libvirt/${name}.log`,
  };
}

function sockets(
  name: string,
  runDir: string,
): Pick<Paths, "socket" | "readOnlySocket" | "adminSocket" | "runDir"> {
  const path = (role: SocketRole) => `${runDir}/${name}${socketSuffix(role)}`;
  return {
    socket: path("read-write"),
    readOnlySocket: path("read-only"),
    adminSocket: path("admin"),
    runDir,
  };
}

function userDirectory(env: PathsRequest["env"], variable: string, belowHome: string): string {
  const directory = absolute(env, variable);
  if (directory !== undefined) return directory;
  const home = absolute(env, "HOME");
  if (home === undefined) throw new ConfigError("HOME", `an absolute path, or one in ${variable}`, "nothing");
  return `${home}/${belowHome}`;
}

/** The path in a variable, without slashes at its end; undefined where it is not set or empty. */
function absolute(env: PathsRequest["env"], variable: string): string | undefined {
  const path = env[variable] ?? "";
  if (path === "") return undefined;
  // The background daemon changes to the root directory, where a relative path would mean another file.
  if (!path.startsWith("/")) throw new ConfigError(variable, "an absolute path", quote(path));
  return path.replace(/\/+$/, "");
}

/** Path of one of the sockets. */
export function socketPath({ socket, readOnlySocket, adminSocket }: Paths, role: SocketRole): string {
  switch (role) {
    case "read-write":
      return socket;
    case "read-only":
      return readOnlySocket;
    case "admin":
      return adminSocket;
  }
}
