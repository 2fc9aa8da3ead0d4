import type { LockFiles } from "../lockspace/lock_files.ts";
import type { ClusterNames } from "./names.ts";

/**
 * File operations of a host that should be a member of a cluster and cannot be: what may be the cluster's is
 * not locked, for a lock of this host alone would protect nothing. Locks that are held stay, and are
 * released.
 *
 * @param names undefined where it is not known what is the cluster's: then nothing is locked
 */
export function refusingFiles(files: LockFiles, names: ClusterNames | undefined, reason: string): LockFiles {
  return {
    lock: (request, done) => {
      if (names !== undefined && names.of(request.path) === undefined) return files.lock(request, done);
      done({ kind: "storage", action: `Unable to acquire lock on resource ${request.path}`, reason });
    },
    unlock: (request, identity, slow, done) => files.unlock(request, identity, slow, done),
    create: (path, followLinks, done) => files.create(path, followLinks, done),
    remove: (path, done) => files.remove(path, done),
    makeDirectory: (path, done) => files.makeDirectory(path, done),
    checkDirectory: (path, done) => files.checkDirectory(path, done),
  };
}
