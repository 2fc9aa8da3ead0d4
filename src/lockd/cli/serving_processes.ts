import { readWhole } from "../../os/read_file.ts";
import { descriptorTarget, openDescriptors } from "../../os/process_files.ts";
import { processCommand } from "../../os/process_state.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText } from "../../os/text.ts";

/** What looking for them needs. */
export type ServingSys = Pick<FileSys, "open" | "read" | "close" | "stat" | "listDirectory" | "readlink">;

/** A socket that accepts connections, in proc_net_unix(5). */
const LISTENING = "00010000";

/**
 * Processes that serve at a Unix socket, without connecting: whoever does has the service manager start one,
 * where that listens in a daemon's place.
 *
 * @param command what the kernel calls such a process
 * @returns their pids; or why that cannot be told
 */
export function servingProcesses(sys: ServingSys, command: string, socket: string): number[] | string {
  const listening = listeningAt(sys, socket);
  if (typeof listening === "string") return listening;
  const names = sys.listDirectory("/proc");
  if (typeof names === "number") return new SystemError("list", "/proc", names).message;
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  let unseen: string | undefined;
  const serving = pids.filter((pid) => {
    if (processCommand(sys, pid) !== command) return false;
    const descriptors = openDescriptors(sys, pid);
    if (typeof descriptors === "number") {
      unseen ??= `what process ${pid} has open cannot be seen`;
      return false;
    }
    return descriptors.some((each) => listening.has(descriptorTarget(sys, pid, each)));
  });
  return serving.length === 0 && unseen !== undefined ? unseen : serving;
}

/** What descriptors of the sockets that listen at a path are shown as; or why that cannot be told. */
function listeningAt(sys: ServingSys, socket: string): Set<string | number> | string {
  const place = fileAt(sys, socket);
  if (place === undefined) return new Set();
  const name = socket.slice(socket.lastIndexOf("/"));
  try {
    const lines = decodeText(readWhole(sys, "/proc/net/unix")).split("\n");
    return new Set(lines.flatMap((line) => {
      const [, flags, inode, path] = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (\/.*)$/.exec(line) ?? [];
      // By what it leads to: it may have been bound by another path.
      const isMeant = flags === LISTENING && path?.endsWith(name) === true && fileAt(sys, path) === place;
      return isMeant ? [`socket:[${inode}]`] : [];
    }));
  } catch (error) {
    if (error instanceof SystemError) return error.message;
    throw error;
  }
}

/** Which file a path leads to. */
function fileAt(sys: Pick<FileSys, "stat">, path: string): string | undefined {
  const status = emptyStatus();
  if (sys.stat(path, status) < 0) return undefined;
  return `${status.devMajor}:${status.devMinor}:${status.inodeHigh}:${status.inodeLow}`;
}
