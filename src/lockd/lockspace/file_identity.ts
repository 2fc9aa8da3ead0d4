import { ENOENT } from "../../os/errno.ts";
import { emptyStatus, type FileStatus, type FileSys } from "../../os/sys.ts";

/** Which file a descriptor or path names, whatever its name: device and inode. */
export interface FileIdentity {
  readonly devMajor: number;
  readonly devMinor: number;
  readonly inodeLow: number;
  readonly inodeHigh: number;
}

/** The identity part of a status. */
export function identityOf(status: FileStatus): FileIdentity {
  return {
    devMajor: status.devMajor,
    devMinor: status.devMinor,
    inodeLow: status.inodeLow,
    inodeHigh: status.inodeHigh,
  };
}

/** Whether two identities name one file. */
export function sameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.inodeLow === b.inodeLow && a.inodeHigh === b.inodeHigh && a.devMinor === b.devMinor &&
    a.devMajor === b.devMajor;
}

/**
 * Whether a path may still name a file. A release that a crash or the end of a helper cut short is repeated:
 * by then the file may be unlinked, and the name another holder's.
 *
 * @param identity undefined where it cannot be told: then it may
 */
export function mayName(
  sys: Pick<FileSys, "stat">,
  path: string,
  identity: FileIdentity | undefined,
): boolean {
  const status = emptyStatus();
  const found = sys.stat(path, status);
  if (found < 0) return found !== -ENOENT;
  return identity === undefined || sameFile(identity, identityOf(status));
}

/** Inode number in decimal, as /proc prints it. */
export function inodeText(identity: FileIdentity): string {
  return String((BigInt(identity.inodeHigh) << 32n) | BigInt(identity.inodeLow));
}

/** `major:minor:inode` as /proc/locks and fdinfo print it (device numbers in two hex digits or more). */
export function procLockText(identity: FileIdentity): string {
  const hex = (value: number) => value.toString(16).padStart(2, "0");
  return `${hex(identity.devMajor)}:${hex(identity.devMinor)}:${inodeText(identity)}`;
}
