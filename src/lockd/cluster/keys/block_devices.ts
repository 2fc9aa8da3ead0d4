import { S_IFBLK, S_IFMT } from "../../../os/constants.ts";
import { emptyStatus, type FileSys } from "../../../os/sys.ts";
import { type DeviceIdentity, deviceIdentity } from "./device_identity.ts";

/** Tells of open files whether they are block devices, and which. */
export class BlockDevices {
  readonly #sys: Pick<FileSys, "fstat" | "open" | "read" | "close">;

  constructor(sys: Pick<FileSys, "fstat" | "open" | "read" | "close">) {
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
    const known = this.#sys.fstat(fd, status);
    if (known < 0 || (status.mode & S_IFMT) !== S_IFBLK) return undefined;
    return deviceIdentity(this.#sys, status.rdevMajor, status.rdevMinor);
  }
}
