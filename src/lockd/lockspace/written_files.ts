import { S_IFBLK, S_IFMT } from "../../os/constants.ts";
import { descriptorInfo, isWritable } from "../../os/descriptor_info.ts";
import { descriptorTarget, openDescriptors, programOf } from "../../os/process_files.ts";
import { locksIn } from "../../os/shown_lock.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";

/**
 * The byte on which QEMU holds a lock of its own in every image that it may write, until its last write is
 * over.
 */
export const WRITE_GUARD = 101;

/** A file that a process has open for writing. */
export interface WrittenFile {
  /** As the process sees it. */
  readonly path: string;
  /**
   * `major:minor:inode`, as the kernel names the file's locks, when the process has the {@link WRITE_GUARD}
   * of it.
   */
  readonly guard?: string;
}

/** What was seen of an owner's process while it lived. */
export interface Sight {
  /** Whether it is a QEMU, which guards what it writes. */
  readonly qemu: boolean;
  readonly files: readonly WrittenFile[];
  /** Set when it has got something since: what it opened for that may be missing. */
  readonly partial?: true;
}

/** Of a process that was gone before anybody looked: a QEMU, for libvirt asks for no other locks. */
export const UNSEEN_QEMU: Sight = { qemu: true, files: [] };

type LookSys = Pick<FileSys, "open" | "read" | "close" | "readlink" | "listDirectory" | "lstat">;

/** Standard input, output and error are no disks. */
const FIRST_FILE = 3;

/**
 * Looks at what a process writes: its descriptors as /proc shows them, proc_pid_fd(5) and proc_pid_fdinfo(5).
 * The storage of these files is not asked anything. A file of the process's own mount namespace is named as
 * the kernel names it.
 *
 * @returns undefined when the process is gone or may not be looked at
 */
export function lookAt(sys: LookSys, pid: number): Sight | undefined {
  const program = programOf(sys, pid);
  if (typeof program === "number") return undefined;
  const descriptors = openDescriptors(sys, pid);
  if (typeof descriptors === "number") return undefined;
  const files: WrittenFile[] = [];
  for (const descriptor of descriptors) {
    if (Number(descriptor) < FIRST_FILE) continue;
    const path = descriptorTarget(sys, pid, descriptor);
    // Sockets, pipes and the like have no path.
    if (typeof path === "number" || !path.startsWith("/")) continue;
    const info = descriptorInfo(sys, pid, descriptor);
    if (info === undefined || isWritable(info) !== true) continue;
    const guard = guardOf(info);
    if (guard !== undefined) files.push({ path, guard });
    else if (mayBeDisk(sys, path)) files.push({ path });
  }
  // A process that ends loses its program first, and then its files: what was seen was all of them only if it
  // still has the first.
  if (typeof programOf(sys, pid) === "number") return undefined;
  const name = program.slice(program.lastIndexOf("/") + 1);
  return { qemu: name.startsWith("qemu"), files };
}

function guardOf(info: string): string | undefined {
  return locksIn(info, WRITE_GUARD)[0]?.file;
}

/**
 * Of devices only block devices; what lies elsewhere is taken for a file, because to look would ask its
 * storage.
 */
function mayBeDisk(sys: LookSys, path: string): boolean {
  if (path.startsWith("/proc/") || path.startsWith("/sys/") || path.startsWith("/memfd:")) return false;
  if (!path.startsWith("/dev/")) return true;
  const status = emptyStatus();
  return sys.lstat(path, status) === 0 && (status.mode & S_IFMT) === S_IFBLK;
}
