import type { Log } from "../../chassis/log/log.ts";
import { strerror } from "../../os/errno.ts";
import type { StorageObserver } from "./storage_observer.ts";

/** Writes what happens to storage to the log. */
export function storageLog(log: Log): StorageObserver {
  return {
    storageHung: (place, action) =>
      log.warn(`${action}: ${place} does not answer, its helper process waits for it`),
    storageRecovered: (place, milliseconds) =>
      log.warn(`Answer of ${place} came after ${Math.round(milliseconds / 1000)} s`),
    storageLate: (place, outcome) => log.warn(`Late answer of ${place}: ${outcome}`),
    storageHelperEnded: (place, reason) => log.error(`Helper process for ${place} failed: ${reason}`),
    ownerRecordFailed: (path, errno) =>
      log.warn(`Write owner into ${path}: ${strerror(errno)}; other hosts will not see who holds it`),
    mountsUnreadable: (error) =>
      log.error(`The list of mounts could not be read again, the one before stays in use: ${error.message}`),
  };
}
