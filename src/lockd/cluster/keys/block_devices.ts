import { S_IFBLK, S_IFMT } from "../../../os/constants.ts";
import { emptyStatus, type FileStatus, type FileSys } from "../../../os/sys.ts";
import { type DeviceIdentity, deviceIdentity } from "./device_identity.ts";

/** Tells of open files whether they are block devices, and which. */
export class BlockDevices {
  readonly #sys: Pick<FileSys, "fstat" | "stat" | "open" | "read" | "close">;

  constructor(sys: Pick<FileSys, "fstat" | "stat" | "open" | "read" | "close">) {
    this.#sys = sys;
  }

  /**
   * Which device an open file is: what counts is what was locked, whatever its path names by now.
   *
   * @param fd stays the caller's; of a file whose storage answers
   * @returns undefined when it is no block device
   */
  of(fd: number): DeviceIdentity | undefined {
    const status = emptyStatus();
    return this.#sys.fstat(fd, status) < 0 ? undefined : this.#identityOf(status);
  }

  /** The same of a device that is not locked now, by its path below /dev, which asks no storage. */
  at(path: string): DeviceIdentity | undefined {
    const status = emptyStatus();
    return !path.startsWith("/dev/") || this.#sys.stat(path, status) < 0
      ? undefined
      : this.#identityOf(status);
  }

  #identityOf({ mode, rdevMajor, rdevMinor }: FileStatus): DeviceIdentity | undefined {
    return (mode & S_IFMT) === S_IFBLK ? deviceIdentity(this.#sys, rdevMajor, rdevMinor) : undefined;
  }
}
