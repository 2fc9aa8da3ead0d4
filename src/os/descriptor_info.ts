import { readSmallFile } from "./read_file.ts";
import type { FileSys } from "./sys.ts";

// What the kernel shows of an open descriptor without asking the storage of its file: proc_pid_fdinfo(5).

const ACCESS_MODE = 0o3;
const READ_ONLY = 0;

/**
 * The kernel's text on a descriptor; undefined when that is closed or may not be looked at.
 *
 * @param process whose descriptor it is
 */
export function descriptorInfo(
  sys: Pick<FileSys, "open" | "read" | "close">,
  process: number | "self",
  descriptor: number | string,
): string | undefined {
  return readSmallFile(sys, `/proc/${process}/fdinfo/${descriptor}`);
}

/** Whether it is open for writing; undefined when that is not shown. */
export function isWritable(info: string): boolean | undefined {
  const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1];
  return flags === undefined ? undefined : (parseInt(flags, 8) & ACCESS_MODE) !== READ_ONLY;
}

/** Number of the file's inode, in decimal digits; undefined before Linux 5.14. */
export function inodeIn(info: string): string | undefined {
  return /^ino:\s*(\d+)$/m.exec(info)?.[1];
}

/** Number of the mount that the file was opened on, as in mountinfo; undefined when that is not shown. */
export function mountIn(info: string): number | undefined {
  const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
  return id === undefined ? undefined : Number(id);
}
