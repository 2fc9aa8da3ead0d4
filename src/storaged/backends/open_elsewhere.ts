import { descriptorInfo, isWritable } from "../../os/descriptor_info.ts";
import { descriptorTarget, openDescriptors } from "../../os/process_files.ts";
import type { Sys } from "../../os/sys.ts";

/** What looking at what processes have open needs of the kernel. */
type ProcessSys = Pick<Sys, "listDirectory" | "readlink" | "open" | "read" | "close">;

/**
 * The first process that has a file open for writing: a guest's raw disk looks empty, and nothing else tells
 * that it is one. Who only reads it, as udev does after each change of a device, is passed over.
 *
 * @param path as /proc/PID/fd names it
 */
export function writerOf(sys: ProcessSys, path: string): number | undefined {
  const processes = sys.listDirectory("/proc");
  if (typeof processes === "number") return undefined;
  return processes.filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => writes(sys, pid, path));
}

function writes(sys: ProcessSys, pid: number, path: string): boolean {
  const descriptors = openDescriptors(sys, pid);
  if (typeof descriptors === "number") return false;
  return descriptors.some((fd) =>
    descriptorTarget(sys, pid, fd) === path && (isWritable(descriptorInfo(sys, pid, fd) ?? "") ?? true)
  );
}
