import { absolute, workingDirectory } from "../../chassis/start/self.ts";
import { readFileText } from "../../os/read_file.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import { identityOf, procLockText } from "../lockspace/file_identity.ts";
import { MountTree, parseMounts } from "../storage/mount_tree.ts";
import { placeOf } from "../storage/placement.ts";
import { diskLockName } from "./guests/disk_name.ts";
import { isOnMounts, silentMounts } from "./guests/silent_mounts.ts";
import type { ListedLock } from "./shown/listed_lock.ts";

/**
 * Which locks are on the disk or file that a user names, whichever of its names that is: relative to the
 * working directory, with a symbolic link in it, or another link to the same file. Files on storage that does
 * not answer are known by the names alone with which they were locked.
 *
 * @param named the path of a file that need not be there, or a resource's name
 */
export async function namedDisk(sys: Sys, named: string): Promise<(lock: ListedLock) => boolean> {
  const path = absolute(named.replace(/^(?:\.\/+)+/, ""), workingDirectory(sys));
  const hash = diskLockName(path);
  const fileAt = await filesAt(sys, path);
  const file = fileAt(path);
  return ({ lockspace, resource, path: locked, file: open, disk }) => {
    if ([resource, locked, disk].some((name) => name === named || name === path)) return true;
    if (lockspace !== "" && resource === hash) return true;
    return file !== undefined && (open === file || fileAt(disk ?? locked) === file);
  };
}

/** Tells which file is at a path, as /proc/locks names it, as far as that can be told without waiting. */
async function filesAt(sys: Sys, path: string): Promise<(path: string) => string | undefined> {
  const mountinfo = readFileText(sys, "/proc/self/mountinfo") ?? "";
  const tree = new MountTree(parseMounts(mountinfo));
  const mayHang = (other: string) => placeOf(sys, tree, other) !== undefined;
  // A file of a disk's own is nowhere else, so no server has to be asked.
  const avoided = mayHang(path) ? isOnMounts(sys, mountinfo, await silentMounts(mountinfo)) : mayHang;
  const known = new Map<string, string | undefined>();
  return (other) => {
    if (!known.has(other)) known.set(other, avoided(other) ? undefined : fileOf(sys, other));
    return known.get(other);
  };
}

function fileOf(sys: Sys, path: string): string | undefined {
  const status = emptyStatus();
  return sys.stat(path, status) < 0 ? undefined : procLockText(identityOf(status));
}
