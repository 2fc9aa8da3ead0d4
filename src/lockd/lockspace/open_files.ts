import { sha256 } from "@noble/hashes/sha2";
import { descriptorInfo, inodeIn, isWritable } from "../../os/descriptor_info.ts";
import { ENOENT } from "../../os/errno.ts";
import { descriptorTarget, openDescriptors } from "../../os/process_files.ts";
import type { FileSys } from "../../os/sys.ts";
import { encodeText } from "../../os/text.ts";
import { type FileIdentity, inodeText } from "./file_identity.ts";

/** What is looked for among a process's open files. */
export interface SoughtFile {
  /** Path of its lockspace, "" for the default one, where the locked file is the disk itself. */
  readonly lockspace: string;
  readonly name: string;
  readonly path: string;
  /** Of the locked file; absent where it is not known any more. */
  readonly identity?: FileIdentity;
}

/** Whether a process has a disk open for writing. */
export type Opened = "open" | "not-open" | "unknown";

type OpenFilesSys = Pick<FileSys, "open" | "read" | "close" | "readlink" | "listDirectory">;

/**
 * Whether a process has a lock's disk open for writing. Looks into /proc only, so that no storage can keep it
 * waiting: proc_pid_fd(5), proc_pid_fdinfo(5).
 *
 * In a lock directory only a name that is the hash of the disk's path tells which disk is meant; `not-open`
 * is never said of one. Nor of a device, which has other nodes in the mount namespace that libvirt makes for
 * a guest.
 *
 * @param pid as the daemon sees it
 */
export function hasOpenForWriting(sys: OpenFilesSys, pid: number, sought: SoughtFile): Opened {
  const { lockspace, name, path, identity } = sought;
  const descriptors = openDescriptors(sys, pid);
  if (typeof descriptors === "number") return "unknown";
  const inode = identity === undefined ? undefined : inodeText(identity);
  let certain = lockspace === "" && inode !== undefined && !path.startsWith("/dev/");
  for (const descriptor of descriptors) {
    const info = descriptorInfo(sys, pid, descriptor) ?? "";
    const target = descriptorTarget(sys, pid, descriptor);
    // Closed meanwhile.
    if (target === -ENOENT) continue;
    const writable = isWritable(info);
    if (typeof target !== "string" || writable === undefined) {
      certain = false;
      continue;
    }
    if (!writable || !target.startsWith("/")) continue;
    if (lockspace !== "") {
      if (sha256(encodeText(target)).toHex() === name) return "open";
      continue;
    }
    if (target === path) return "open";
    const shown = inodeIn(info);
    // Before Linux 5.14 the kernel does not show it.
    if (shown === undefined) certain = false;
    // The device is not compared: where it is shown differs from where it is known (btrfs), and this is the
    // safe side.
    else if (shown === inode) return "open";
  }
  return certain ? "not-open" : "unknown";
}
