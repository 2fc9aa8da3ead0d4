import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { LockRequest, UnlockRequest } from "../lockspace/lock_file.ts";
import type { LockFiles, LockFilesOutcome, UnlockFailed } from "../lockspace/lock_files.ts";
import type { DirectoryFailure, FileFailure } from "../lockspace/file_failure.ts";

/** Where file operations go; undefined: storage that answers. */
export interface Routes {
  /** By the path of a file that is to be locked. */
  ofLock(path: string): Pick<LockFiles, "lock"> | undefined;
  /** By the path of a file that is to be made or removed. */
  ofPath(path: string): LockFiles | undefined;
  /** By an open file, wherever its path leads by now. */
  ofFile(path: string, identity: FileIdentity): LockFiles | undefined;
}

/**
 * Does operations on local storage at once, and gives those on storage that may hang to that storage's
 * helper.
 */
export class RoutedLockFiles implements LockFiles {
  readonly #local: LockFiles;
  readonly #routes: Routes;

  /** @param local for storage that answers */
  constructor(local: LockFiles, routes: Routes) {
    this.#local = local;
    this.#routes = routes;
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    (this.#routes.ofLock(request.path) ?? this.#local).lock(request, done);
  }

  unlock(
    request: UnlockRequest,
    identity: FileIdentity,
    slow: (failure: UnlockFailed) => void,
    done: (failure: UnlockFailed | undefined) => void,
  ): void {
    (this.#routes.ofFile(request.path, identity) ?? this.#local).unlock(request, identity, slow, done);
  }

  create(path: string, followLinks: boolean, done: (failure: FileFailure | undefined) => void): void {
    (this.#routes.ofPath(path) ?? this.#local).create(path, followLinks, done);
  }

  remove(path: string, done: (failure: FileFailure | undefined) => void): void {
    (this.#routes.ofPath(path) ?? this.#local).remove(path, done);
  }

  makeDirectory(path: string, done: (failure: FileFailure | undefined) => void): void {
    (this.#routes.ofPath(path) ?? this.#local).makeDirectory(path, done);
  }

  checkDirectory(path: string, done: (failure: DirectoryFailure | undefined) => void): void {
    (this.#routes.ofPath(path) ?? this.#local).checkDirectory(path, done);
  }
}
