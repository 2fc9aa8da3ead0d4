import { namespaceOf } from "../../../os/pid_namespace.ts";
import { readProcess } from "../../../os/process_state.ts";
import { emptyStatus, type FileSys, type ProcessSys } from "../../../os/sys.ts";
import { mayLive } from "./process_lives.ts";
import type { DaemonMark } from "../keys/host_record.ts";

type MarkSys = Pick<FileSys, "open" | "read" | "close" | "readlink" | "stat"> & Pick<ProcessSys, "pid">;

/**
 * What tells this daemon from those of other hosts, also of such as share its kernel and its id, as copies
 * of a container do: its pid namespace, and the file system that its run directory is on. Both stay what they
 * are for every daemon of a host between two starts of it.
 *
 * @param runDirectory where the daemon keeps what ends with the host
 */
export function daemonMark(sys: MarkSys, runDirectory: string): DaemonMark {
  const pid = sys.pid();
  const status = emptyStatus();
  const namespace = namespaceOf(sys, pid);
  const known = namespace !== undefined && sys.stat(runDirectory, status) === 0;
  const process = readProcess(sys, pid);
  return {
    place: known ? `${namespace} ${status.devMajor}:${status.devMinor}` : "",
    pid,
    start: typeof process === "number" ? 0 : process.startTime,
  };
}

/**
 * Whether a daemon of this very host has ended, or is this one. What cannot be told counts as one that runs,
 * perhaps on another host: its session must not be written.
 *
 * @param own mark of this daemon
 */
export function isEarlier(
  sys: Pick<FileSys, "open" | "read" | "close">,
  own: DaemonMark,
  { place, pid, start }: DaemonMark,
): boolean {
  if (place === "" || place !== own.place) return false;
  return (pid === own.pid && start === own.start) || !mayLive(sys, pid, start);
}
