import type { FileSys } from "./sys.ts";

// What the kernel shows of the files that a process has, without asking their storage: proc_pid_fd(5),
// proc_pid_exe(5). Of processes that have ended, and of those that may not be looked at, it gives -errno.

/** Where a descriptor of a process can be opened anew, or its file be found. */
export function descriptorPath(process: number | "self", descriptor: number | string): string {
  return `/proc/${process}/fd/${descriptor}`;
}

/** Numbers of the descriptors that a process has, in decimal digits; or -errno. */
export function openDescriptors(sys: Pick<FileSys, "listDirectory">, pid: number): string[] | number {
  return sys.listDirectory(`/proc/${pid}/fd`);
}

/** The path of a descriptor's file as its process sees it, or what else it is (`socket:[7]`); or -errno. */
export function descriptorTarget(
  sys: Pick<FileSys, "readlink">,
  process: number | "self",
  descriptor: number | string,
): string | number {
  return sys.readlink(descriptorPath(process, descriptor));
}

/** The program that a process executes; or -errno. */
export function programOf(sys: Pick<FileSys, "readlink">, pid: number): string | number {
  return sys.readlink(`/proc/${pid}/exe`);
}
