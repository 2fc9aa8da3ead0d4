import { SOCK_STREAM } from "../../os/constants.ts";
import { EADDRINUSE, EAGAIN, EEXIST, ENOENT } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { Listener } from "../rpc/listener.ts";
import { ExitCode, StartError } from "./start_error.ts";

/**
 * Connections that wait to be accepted. When a host starts, thousands of clients may connect at once; the
 * kernel makes it no more than net.core.somaxconn, which is 4096 since Linux 5.4.
 */
const BACKLOG = 4096;

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
 * another PID file may. Nobody can connect before the file has the group and the mode that it is to have.
 *
 * @returns a non-blocking listening socket, owned by the caller
 * @throws StartError with the sockets code
 */
export function listenOn(
  sys: Sys,
  { role, path, access }: Pick<Listener, "role" | "path" | "access">,
): Listener {
  refuseServed(sys, path);
  const fd = sys.socket(SOCK_STREAM, true);
  try {
    checked(fd, "Create socket", path);
    const unlinked = sys.unlink(path);
    const previous = sys.umask(0o777 & ~access.mode);
    const bound = sys.bind(fd, path);
    sys.umask(previous);
    if (bound === -EADDRINUSE && unlinked !== -ENOENT) checked(unlinked, "Unlink stale socket", path);
    checked(bound, "Bind socket", path);
    if (access.group !== undefined) giveToGroup(sys, path, access.group);
    checked(sys.listen(fd, BACKLOG), "Listen on socket", path);
  } catch (error) {
    if (fd >= 0) sys.close(fd);
    throw error;
  }
  return { fd, role, path, access, unlink: true };
}

/** @throws StartError with the sockets code */
function giveToGroup(sys: Sys, path: string, group: string): void {
  const gid = sys.groupId(group);
  checked(gid, `Find the group ${group} of the socket`, path);
  checked(sys.lchown(path, -1, gid), "Change the group of the socket", path);
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
