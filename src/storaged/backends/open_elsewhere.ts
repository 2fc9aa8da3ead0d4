import { readSmallFile } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";

/** What looking at what processes have open needs of the kernel. */
type ProcessSys = Pick<Sys, "listDirectory" | "readlink" | "open" | "read" | "close">;

/** Access mode of open(2), and that of who only reads. */
const ACCESS_MODE = 3;
const READS = 0;

/**
 * The first process that has a file open for writing: a guest's raw disk looks empty, and nothing else tells
 * that it is one. Who only reads it, as udev does after each change of a device, is passed over.
 *
 * @param path as /proc/PID/fd names it
 */
export function writerOf(sys: ProcessSys, path: string): number | undefined {
  const processes = sys.listDirectory("/proc");
  if (typeof processes === "number") return undefined;
  const pid = processes.filter((name) => /^\d+$/.test(name)).find((name) => writes(sys, name, path));
  return pid === undefined ? undefined : Number(pid);
}

function writes(sys: ProcessSys, pid: string, path: string): boolean {
  const descriptors = sys.listDirectory(`/proc/${pid}/fd`);
  if (typeof descriptors === "number") return false;
  return descriptors.some((fd) => {
    if (sys.readlink(`/proc/${pid}/fd/${fd}`) !== path) return false;
    const flags = /^flags:\s*(\d+)$/m.exec(readSmallFile(sys, `/proc/${pid}/fdinfo/${fd}`) ?? "")?.[1];
    return flags === undefined || (parseInt(flags, 8) & ACCESS_MODE) !== READS;
  });
}
