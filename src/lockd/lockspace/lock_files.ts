import {
  O_CLOEXEC,
  O_CREAT,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDWR,
  S_IFDIR,
  S_IFMT,
} from "../../os/constants.ts";
import { EEXIST, EISDIR, ENOENT, ENOTDIR } from "../../os/errno.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import { checkDirectory } from "./directory_check.ts";
import type { DirectoryFailure, FileFailure } from "./file_failure.ts";
import { type FileIdentity, identityOf, mayName } from "./file_identity.ts";
import type { PosixGuard } from "./posix_guard.ts";
import type { Use } from "./parked_locks.ts";
import type { ForeignHolder } from "./refusal.ts";
import {
  type CloseFile,
  lockFile,
  type LockOutcome,
  type LockRequest,
  type UnlockFailure,
  unlockFile,
  type UnlockRequest,
} from "./lock_file.ts";

/** What failed in a release; `released`: only litter was left, the lock has gone. */
export type UnlockFailed =
  | ({ kind: "system" } & UnlockFailure)
  | { kind: "storage"; action: string; reason: string; released: false };

/** Outcome of a lock, from local or from network storage, or from the cluster. */
export type LockFilesOutcome =
  | LockOutcome
  | { kind: "storage"; action: string; reason: string }
  /** Somebody outside this host has it, by their own word. */
  | { kind: "elsewhere"; by: ForeignHolder }
  /** Who asks was paused, and another one could write meanwhile. */
  | { kind: "used"; use: Use };

/**
 * The file operations of the lock core. An implementation answers by calling `done` exactly once, at once for
 * local storage and later for storage that may hang. Descriptors it hands out belong to the caller, who gives
 * them back through `unlock`.
 */
export interface LockFiles {
  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void;
  /**
   * Ends the lock and closes the descriptor. On a failure without `released` the descriptor stays open and
   * the lock held.
   *
   * @param slow called at most once, before `done`, when the storage has not answered in time; the release
   *   goes on
   */
  unlock(
    request: UnlockRequest,
    identity: FileIdentity,
    slow: (failure: UnlockFailed) => void,
    done: (failure: UnlockFailed | undefined) => void,
  ): void;
  create(path: string, followLinks: boolean, done: (failure: FileFailure | undefined) => void): void;
  remove(path: string, done: (failure: FileFailure | undefined) => void): void;
  makeDirectory(path: string, done: (failure: FileFailure | undefined) => void): void;
  /** Whether a directory may be adopted: see checkDirectory() of directory_check.ts. */
  checkDirectory(path: string, done: (failure: DirectoryFailure | undefined) => void): void;
}

type LocalSys = Pick<
  FileSys,
  "open" | "fstat" | "stat" | "lstat" | "ofdLock" | "ofdProbe" | "posixLock" | "unlink" | "mkdir"
>;
type LocalFilesSys = LocalSys & Parameters<typeof checkDirectory>[0];

/** File operations done at once, on the calling thread: for storage that answers. */
export class LocalLockFiles implements LockFiles {
  readonly #sys: LocalFilesSys;
  readonly #guard: PosixGuard;
  readonly #close: CloseFile;

  /** @param guard closes the descriptors of lock files */
  constructor(sys: LocalFilesSys, guard: PosixGuard) {
    this.#sys = sys;
    this.#guard = guard;
    this.#close = (fd, identity) => guard.close(fd, identity);
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    const guarded = this.#guarded(request.path);
    if (guarded !== undefined && this.#guard.refuses(guarded, request.shared)) {
      return done({ kind: "busy", identity: guarded, pid: 0 });
    }
    done(lockFile(this.#sys, request, this.#close));
  }

  unlock(
    request: UnlockRequest,
    identity: FileIdentity,
    _slow: (failure: UnlockFailed) => void,
    done: (failure: UnlockFailed | undefined) => void,
  ): void {
    const autocreate = request.autocreate && mayName(this.#sys, request.path, identity);
    const failure = unlockFile(this.#sys, { ...request, autocreate });
    if (failure === undefined || failure.released) this.#close(request.fd, identity);
    done(failure === undefined ? undefined : { kind: "system", ...failure });
  }

  create(path: string, followLinks: boolean, done: (failure: FileFailure | undefined) => void): void {
    // The file of a POSIX lock is there, and opening it only to close it again would cost the lock.
    if (this.#guarded(path) !== undefined) return done(undefined);
    done(createFile(this.#sys, path, followLinks, this.#close));
  }

  remove(path: string, done: (failure: FileFailure | undefined) => void): void {
    done(removeFile(this.#sys, path));
  }

  makeDirectory(path: string, done: (failure: FileFailure | undefined) => void): void {
    done(makeDirectory(this.#sys, path));
  }

  checkDirectory(path: string, done: (failure: DirectoryFailure | undefined) => void): void {
    done(checkDirectory(this.#sys, path));
  }

  /** Identity of an existing file that has a POSIX lock of this process. */
  #guarded(path: string): FileIdentity | undefined {
    if (!this.#guard.active) return undefined;
    const status = emptyStatus();
    if (this.#sys.stat(path, status) < 0) return undefined;
    const identity = identityOf(status);
    return this.#guard.guards(identity) ? identity : undefined;
  }
}

/** Makes a lease file, 0600; an existing one is fine. */
export function createFile(
  sys: LocalSys,
  path: string,
  followLinks: boolean,
  close: CloseFile,
): FileFailure | undefined {
  // O_NONBLOCK as in lockFile(): what is there may be a device without carrier.
  const flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW);
  const fd = sys.open(path, flags, 0o600);
  // The C daemon reports this one error in no domain at all; clients match on the code only.
  if (fd < 0) return { kind: "system", action: `cannot create file '${path}'`, errno: -fd, local: true };
  const status = emptyStatus();
  const known = sys.fstat(fd, status);
  close(fd, identityOf(status));
  if (known < 0) {
    return { kind: "system", action: `Unable to check status of resource ${path}`, errno: -known };
  }
  return undefined;
}

/** Unlinks a lease file; an absent one is fine. */
export function removeFile(sys: LocalSys, path: string): FileFailure | undefined {
  const result = sys.unlink(path);
  if (result >= 0 || result === -ENOENT) return undefined;
  return { kind: "system", action: `Unable to delete lockspace resource ${path}`, errno: -result };
}

/** Makes a lockspace directory with its parents, mode 0700; an existing directory keeps its mode. */
export function makeDirectory(sys: LocalSys, path: string): FileFailure | undefined {
  const status = emptyStatus();
  const found = sys.stat(path, status);
  if (found === 0) {
    return (status.mode & S_IFMT) === S_IFDIR ? undefined : { kind: "not-a-directory", path };
  }
  const action = `Unable to create lockspace ${path}`;
  if (found !== -ENOENT) return { kind: "system", action, errno: -found };
  for (let end = path.indexOf("/", 1); end >= 0; end = path.indexOf("/", end + 1)) {
    const made = sys.mkdir(path.slice(0, end), 0o700);
    // EISDIR and EEXIST: it is there. ENOENT cannot be: the parent was made a moment ago.
    if (made < 0 && made !== -EEXIST && made !== -EISDIR) return { kind: "system", action, errno: -made };
  }
  const made = sys.mkdir(path, 0o700);
  if (made < 0 && made !== -EEXIST) return { kind: "system", action, errno: -made };
  const checked = sys.stat(path, status);
  if (checked < 0) return { kind: "system", action, errno: -checked };
  return (status.mode & S_IFMT) === S_IFDIR ? undefined : { kind: "system", action, errno: ENOTDIR };
}
