import {
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  SO_ACCEPTCONN,
  SOCK_STREAM,
} from "../../os/constants.ts";
import { EADDRINUSE, EAGAIN, EEXIST, ENOENT } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { Identity } from "../config/identity.ts";
import type { Listener } from "../rpc/server.ts";
import { ExitCode, StartError } from "./start_error.ts";

/**
 * Connections that wait to be accepted. When libvirtd starts a host's guests, each connects twice at once;
 * the kernel makes it no more than net.core.somaxconn, which is 4096 since Linux 5.4.
 */
const BACKLOG = 4096;

/** Which server a listening socket belongs to. */
export type SocketRole = "main" | "admin";

/** Makes a directory with its parents. @throws StartError with the run-directory code */
export function makeRunDirectory(sys: Sys, path: string, mode: number): void {
  const made = makeDirectories(sys, path, mode);
  if (made >= 0) return;
  const there = sys.access(path, 0);
  if (there < 0) {
    const errno = made === -EEXIST ? there : made;
    const error = new SystemError("Create run directory", path, errno);
    throw new StartError(ExitCode.RUN_DIRECTORY, error.message, { cause: error });
  }
}

/**
 * Makes a directory with its parents. @returns what mkdir(2) gave for the last one: a parent may exist
 * without being writable
 */
export function makeDirectories(sys: Sys, path: string, mode: number): number {
  for (let end = path.indexOf("/", 1); end >= 0; end = path.indexOf("/", end + 1)) {
    sys.mkdir(path.slice(0, end), mode);
  }
  return sys.mkdir(path, mode);
}

/**
 * Listens on a path. A socket that lies there is replaced if nobody listens on it any more: a daemon with
 * another PID file may.
 *
 * @returns a non-blocking listening socket, mode 0700, owned by the caller
 * @throws StartError with the sockets code
 */
export function listenOn(sys: Sys, path: string): Listener {
  refuseServed(sys, path);
  const fd = sys.socket(SOCK_STREAM, true);
  try {
    checked(fd, "Create socket", path);
    const unlinked = sys.unlink(path);
    const previous = sys.umask(0o077);
    const bound = sys.bind(fd, path);
    sys.umask(previous);
    if (bound === -EADDRINUSE && unlinked !== -ENOENT) checked(unlinked, "Unlink stale socket", path);
    checked(bound, "Bind socket", path);
    checked(sys.listen(fd, BACKLOG), "Listen on socket", path);
  } catch (error) {
    if (fd >= 0) sys.close(fd);
    throw error;
  }
  return { fd, path, unlink: true };
}

/** @throws StartError with the sockets code when the result of a system call is -errno */
function checked(result: number, call: string, path: string): void {
  if (result >= 0) return;
  const error = new SystemError(call, path, result);
  throw new StartError(ExitCode.SOCKETS, error.message, { cause: error });
}

/**
 * Makes sure that no daemon with another PID file serves here, whose journal and sockets must not be touched.
 *
 * @throws StartError with the sockets code
 */
export function refuseServed(sys: Sys, path: string): void {
  if (isServed(sys, path)) {
    throw new StartError(ExitCode.SOCKETS, `Bind socket ${path}: another daemon listens there`);
  }
}

/** Whether somebody listens on a path. EAGAIN: with a full backlog. */
function isServed(sys: Sys, path: string): boolean {
  const fd = sys.socket(SOCK_STREAM, true);
  if (fd < 0) return false;
  const connected = sys.connect(fd, path);
  sys.close(fd);
  return connected === 0 || connected === -EAGAIN;
}

/**
 * Tells what an inherited descriptor is: by its name, or, where the service manager gave none, by its path.
 *
 * @returns undefined when it is not a listening Unix socket of ours
 */
export function socketRole(
  sys: Sys,
  fd: number,
  name: string,
  { main, admin }: Identity["socketNames"],
  adminPath: string,
): SocketRole | undefined {
  if (sys.socketOption(fd, SO_ACCEPTCONN) !== 1) return undefined;
  if (name === main) return "main";
  if (name === admin) return "admin";
  const path = sys.socketPath(fd);
  if (typeof path !== "string" || path === "") return undefined;
  return path === adminPath || path.endsWith("-admin-sock") ? "admin" : "main";
}

/** Makes an inherited listening socket fit for the event loop. It is not unlinked at exit. */
export function adoptListener(sys: Sys, fd: number): Listener {
  sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
  sys.fcntl(fd, F_SETFL, O_NONBLOCK | O_RDWR);
  const path = sys.socketPath(fd);
  return { fd, path: typeof path === "string" ? path : "", unlink: false };
}
