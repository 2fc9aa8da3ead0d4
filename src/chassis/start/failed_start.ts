import { ConfigError } from "../config/config_error.ts";
import { UsageError } from "../config/usage_error.ts";
import { LogConfigError } from "../log/log_config_error.ts";
import { F_SETFL, O_NONBLOCK, O_RDWR, SO_ACCEPTCONN } from "../../os/constants.ts";
import {
  EACCES,
  EFBIG,
  EINVAL,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENODEV,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  EROFS,
} from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";

/** What the kernel answers the next time too, until somebody has changed something on the host. */
const LASTING: readonly number[] = [
  EACCES,
  EFBIG,
  EINVAL,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENODEV,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  EROFS,
];
/**
 * More connections than a backlog can hold, so that somebody who connects all the time does not keep it up.
 */
const MOST_WAITING = 10_000;

/**
 * Whether a start would fail again for the same reason until somebody has mended it: usage, configuration, a
 * file that is not there or may not be used. What was short of memory, room or descriptors, or in another
 * daemon's way, may succeed by itself.
 */
export function isLasting(error: unknown): boolean {
  if (error instanceof UsageError || error instanceof ConfigError || error instanceof LogConfigError) {
    return true;
  }
  if (error instanceof SystemError) return LASTING.includes(error.errno);
  return error instanceof Error && error.cause !== undefined && isLasting(error.cause);
}

/**
 * Accepts the connections that wait at listening sockets, and closes them: whoever waits for a daemon that
 * will not start is told so at once, and the service manager does not start it again for them.
 *
 * @param sockets descriptors, of which those that do not listen are left alone; they stay their owner's
 * @returns how many there were
 */
export function refuseWaiting(
  sys: Pick<Sys, "accept" | "close" | "fcntl" | "socketOption">,
  sockets: readonly number[],
): number {
  let refused = 0;
  for (const socket of sockets) {
    if (sys.socketOption(socket, SO_ACCEPTCONN) !== 1) continue;
    sys.fcntl(socket, F_SETFL, O_NONBLOCK | O_RDWR);
    for (; refused < MOST_WAITING; refused++) {
      const connection = sys.accept(socket);
      if (connection < 0) break;
      sys.close(connection);
    }
  }
  return refused;
}
