import type { FileStatus } from "../../os/sys.ts";

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

/** Inode number in decimal, as /proc prints it. */
export function inodeText(identity: FileIdentity): string {
  return String((BigInt(identity.inodeHigh) << 32n) | BigInt(identity.inodeLow));
}

/** `major:minor:inode` as /proc/locks and fdinfo print it (device numbers in two hex digits or more). */
export function procLockText(identity: FileIdentity): string {
  const hex = (value: number) => value.toString(16).padStart(2, "0");
  return `${hex(identity.devMajor)}:${hex(identity.devMinor)}:${inodeText(identity)}`;
}
