import type { SystemError } from "../../os/system_error.ts";

/**
 * Told what happens to storage that may hang. `place` is as people call it, e.g. `storage at /mnt/images`.
 */
export interface StorageObserver {
  /** An operation has reached the time limit for the first time since the place last answered. */
  storageHung(place: string, action: string): void;
  /** The place answers again. `milliseconds`: since the operation began. */
  storageRecovered(place: string, milliseconds: number): void;
  /** An operation came to its end after its asker had been told of the time limit. */
  storageLate(place: string, outcome: string): void;
  /** A helper process ended unasked, or could not be started. */
  storageHelperEnded(place: string, reason: string): void;
  /**
   * The owner record could not be written into a lock file: other hosts will not see who holds it. `errno` is
   * positive.
   */
  ownerRecordFailed(path: string, errno: number): void;
  /** The list of mounts could not be read again; the one before stays in use. */
  mountsUnreadable(error: SystemError): void;
}
