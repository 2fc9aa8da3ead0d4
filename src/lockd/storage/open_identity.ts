import { descriptorInfo, inodeIn, mountIn } from "../../os/descriptor_info.ts";
import { readFileText } from "../../os/read_file.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import { type FileIdentity, identityOf } from "../lockspace/file_identity.ts";
import { parseMounts } from "./mount_tree.ts";

/** The number of a device, in one: see deviceKey(). */
const MINORS = 0x10_0000;

/**
 * Which file a descriptor has open. Of a FUSE file system that serves one user only, nobody else is told the
 * status of an open file, root included; /proc tells everybody. proc_pid_fdinfo(5).
 *
 * @returns -errno when the kernel does not tell
 */
export function identityOfOpen(
  sys: Pick<FileSys, "fstat" | "open" | "read" | "pread" | "close">,
  fd: number,
): FileIdentity | number {
  const status = emptyStatus();
  const known = sys.fstat(fd, status);
  return known === 0 ? identityOf(status) : shownIdentity(sys, fd) ?? known;
}

function shownIdentity(
  sys: Pick<FileSys, "open" | "read" | "pread" | "close">,
  fd: number,
): FileIdentity | undefined {
  const info = descriptorInfo(sys, "self", fd) ?? "";
  const mountId = mountIn(info);
  const number = inodeIn(info);
  if (mountId === undefined || number === undefined) return undefined;
  const mounts = parseMounts(readFileText(sys, "/proc/self/mountinfo") ?? "");
  const mount = mounts.find(({ id }) => id === mountId);
  if (mount === undefined) return undefined;
  const inode = BigInt(number);
  return {
    devMajor: Math.floor(mount.device / MINORS),
    devMinor: mount.device % MINORS,
    inodeLow: Number(inode & 0xffff_ffffn),
    inodeHigh: Number(inode >> 32n),
  };
}
