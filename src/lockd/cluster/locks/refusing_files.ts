import type { LockFiles, LockFilesOutcome } from "../../lockspace/lock_files.ts";

/** A lock that the kernel has given. */
type Granted = Extract<LockFilesOutcome, { kind: "granted" }>;

/**
 * File operations of a host that should be a member of a cluster and cannot be: what may be the cluster's is
 * not locked, for a lock of this host alone would protect nothing. Locks that are held stay, and are
 * released.
 *
 * @param files by which they are released
 * @param own this host's own: no other host is asked for what is refused all the same, and gives it up
 * @param isTheirs whether a file may be the cluster's
 * @param isDevice whether a locked file is the cluster's after all
 * @param reason why, as it is now
 */
export function refusingFiles(
  files: LockFiles,
  own: Pick<LockFiles, "lock" | "unlock">,
  isTheirs: (path: string) => boolean,
  isDevice: (path: string, granted: Granted) => boolean,
  reason: () => string,
): LockFiles {
  return {
    lock: (request, done) => {
      const { path, shared, autocreate } = request;
      const refused = {
        kind: "storage",
        action: `Unable to acquire lock on resource ${path}`,
        reason: reason(),
      } as const;
      if (isTheirs(path)) return done(refused);
      own.lock(request, (outcome) => {
        if (outcome.kind !== "granted" || !isDevice(path, outcome)) return done(outcome);
        let told = false;
        const once = () => {
          if (!told) done(refused);
          told = true;
        };
        const { fd, identity } = outcome;
        own.unlock({ path, fd, lock: "ofd", shared, autocreate, force: true }, identity, once, once);
      });
    },
    unlock: (request, identity, slow, done) => files.unlock(request, identity, slow, done),
    create: (path, followLinks, done) => files.create(path, followLinks, done),
    remove: (path, done) => files.remove(path, done),
    makeDirectory: (path, done) => files.makeDirectory(path, done),
    checkDirectory: (path, done) => files.checkDirectory(path, done),
  };
}
