import {
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  O_CLOEXEC,
  O_CREAT,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
} from "../../os/constants.ts";
import { EACCES, EAGAIN, EBADF, ELOOP, ENOENT, EPERM, EROFS, ETXTBSY } from "../../os/errno.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import { type FileIdentity, identityOf, sameFile } from "./file_identity.ts";
import type { Owner } from "./owner.ts";

/** The lock is on byte 0, one byte long (docs/protocol.md, Lock program). */
export const LOCK_START = 0;
/** See {@link LOCK_START}. */
export const LOCK_LENGTH = 1;
const LOCK_FILE_MODE = 0o600;
/** Another host may unlink the file between our open and our lock, but not for ever. */
const MAX_TRIES = 100;

/** How a lock is held in the kernel. */
export type LockKind =
  /** Open-file-description lock: dies with the last copy of its descriptor. */
  | "ofd"
  /** POSIX lock of the process, inherited from libvirt's daemon: dies with ANY close of that file. */
  | "posix";

/** What to lock. */
export interface LockRequest {
  readonly path: string;
  readonly shared: boolean;
  readonly autocreate: boolean;
  /** Whether the file is made when it is absent; like `autocreate` where it does not say. */
  readonly create?: boolean;
  /**
   * Whether a symbolic link as the last component is followed: yes for disk paths, no in a lockspace
   * directory.
   */
  readonly followLinks: boolean;
  /** Says who asks, on one line: network storage keeps it in an autocreated file, for other hosts to read. */
  readonly record?: () => string;
  /** In how many milliseconds who asks wants an answer; absent: nobody has waited yet. */
  readonly within?: number;
  /** Who asks, for whom a cluster has to be told. */
  readonly owner?: Owner;
  /** Whether who asks is to be refused when its guest was paused, and another one could write meanwhile. */
  readonly resumed?: () => boolean;
}

/** What became of a {@link LockRequest}. */
export type LockOutcome =
  /** The caller owns the descriptor; closing its last copy frees the lock. */
  | { kind: "granted"; fd: number; identity: FileIdentity }
  /** `pid` of a POSIX holder, -1 for an open-file-description holder, 0 unknown. */
  | { kind: "busy"; identity: FileIdentity; pid: number }
  /** `target`: the file behind a symbolic link that was not followed. */
  | { kind: "failed"; action: string; errno: number; target?: FileIdentity };

/** What to release. */
export interface UnlockRequest {
  readonly path: string;
  readonly fd: number;
  readonly lock: LockKind;
  readonly shared: boolean;
  readonly autocreate: boolean;
  /** The owner's process is gone: release even if the file cannot be unlinked. */
  readonly force: boolean;
  /** The owner, where its process goes on: its guest is paused, or has let the disk go. */
  readonly paused?: Owner;
}

/** What went wrong in a release. */
export interface UnlockFailure {
  readonly action: string;
  /** Positive errno. */
  readonly errno: number;
  /** The lock has gone all the same; only the file was left behind. */
  readonly released: boolean;
}

/** Closes a descriptor of a lock file; where POSIX locks are held this is not plain close(2). */
export type CloseFile = (fd: number, identity: FileIdentity) => void;

type LockFileSys = Pick<
  FileSys,
  "open" | "fstat" | "stat" | "lstat" | "ofdLock" | "ofdProbe" | "posixLock" | "unlink"
>;

/** What lockFile() looks at, used again each time: two new ones for each lock would be much garbage. */
const [opened, named] = [emptyStatus(), emptyStatus()];

/**
 * Opens and locks a file. May block on storage that does not answer.
 *
 * Conflicts are the kernel's to find, so that two names of one file (symbolic link, hard link, bind mount)
 * conflict.
 */
export function lockFile(sys: LockFileSys, request: LockRequest, close: CloseFile): LockOutcome {
  const { path } = request;
  const failed = (action: string, result: number): LockOutcome => ({
    kind: "failed",
    action: `${action} ${path}`,
    errno: -result,
  });
  const opening = request.create ?? request.autocreate
    ? "Unable to open/create resource"
    : "Unable to open resource";
  const type = request.shared ? F_RDLCK : F_WRLCK;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const fd = openLockFile(sys, request);
    if (fd === -ELOOP && !request.followLinks) return behindLink(sys, request, opening);
    if (fd < 0) return failed(opening, fd);
    const status = sys.fstat(fd, opened);
    if (status < 0) {
      close(fd, identityOf(emptyStatus()));
      return failed("Unable to check status of resource", status);
    }
    const identity = identityOf(opened);
    const locked = sys.ofdLock(fd, type, LOCK_START, LOCK_LENGTH);
    if (locked === -EAGAIN || locked === -EACCES) {
      const probe = { type: F_UNLCK, pid: 0 };
      const probed = sys.ofdProbe(fd, type, LOCK_START, LOCK_LENGTH, probe);
      close(fd, identity);
      return { kind: "busy", identity, pid: probed < 0 ? 0 : probe.pid };
    }
    if (locked < 0) {
      close(fd, identity);
      return failed("Unable to acquire lock on resource", locked);
    }
    if (!request.autocreate) return { kind: "granted", fd, identity };
    // Whoever held it before may have unlinked the file we locked: then the lock guards nothing.
    const current = sys.stat(path, named);
    if (current === 0 && sameFile(identity, identityOf(named))) return { kind: "granted", fd, identity };
    sys.ofdLock(fd, F_UNLCK, LOCK_START, LOCK_LENGTH);
    close(fd, identity);
    if (current < 0 && current !== -ENOENT) return failed("Unable to check status of resource", current);
  }
  return failed("Unable to acquire lock, because its file keeps being replaced, on resource", -EAGAIN);
}

/** What the kernel says of a file that cannot be written, but perhaps read. */
const READ_ONLY: ReadonlySet<number> = new Set([-EROFS, -EACCES, -EPERM, -ETXTBSY]);

/**
 * Opens a file to lock it. An exclusive lock needs a descriptor for writing; a shared one does without where
 * the file, its mount or its device is read-only. May block on storage that does not answer.
 *
 * @returns the descriptor, the caller's to close, or -errno: that of opening it for writing
 */
export function openLockFile(
  sys: Pick<FileSys, "open">,
  { path, shared, autocreate, create = autocreate, followLinks }: Pick<
    LockRequest,
    "path" | "shared" | "autocreate" | "create" | "followLinks"
  >,
): number {
  // O_NONBLOCK: neither a FIFO's missing writer nor a device's carrier may stop the daemon.
  const flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW);
  const fd = sys.open(path, flags | O_RDWR | (create ? O_CREAT : 0), LOCK_FILE_MODE);
  if (!shared || !READ_ONLY.has(fd)) return fd;
  const readable = sys.open(path, flags | O_RDONLY, 0);
  return readable < 0 ? fd : readable;
}

/** A symbolic link in a lockspace directory is refused without opening what it leads to. */
function behindLink(sys: LockFileSys, request: LockRequest, opening: string): LockOutcome {
  const target = emptyStatus();
  const failed = { kind: "failed", action: `${opening} ${request.path}`, errno: ELOOP } as const;
  return sys.stat(request.path, target) < 0 ? failed : { ...failed, target: identityOf(target) };
}

/**
 * Ends the kernel lock and unlinks an autocreated file: an exclusive one at once, a shared one only when
 * nobody else (another host) has it too. Does not close the descriptor. May block on storage that does not
 * answer.
 *
 * @returns undefined, or what failed; unless it says `released`, the lock is then still held
 */
export function unlockFile(sys: LockFileSys, request: UnlockRequest): UnlockFailure | undefined {
  let litter: UnlockFailure | undefined;
  const lock = request.lock === "ofd" ? sys.ofdLock : sys.posixLock;
  if (request.autocreate) {
    const upgraded = request.shared ? lock(request.fd, F_WRLCK, LOCK_START, LOCK_LENGTH) : 0;
    // EBADF: it is open for reading only, and stays where nothing could have made it.
    if (upgraded < 0 && upgraded !== -EAGAIN && upgraded !== -EACCES && upgraded !== -EBADF) {
      litter = {
        action: `Unable to tell whether others still share resource ${request.path}`,
        errno: -upgraded,
        released: true,
      };
    }
    if (upgraded === 0) {
      const unlinked = sys.unlink(request.path);
      if (unlinked < 0 && unlinked !== -ENOENT) {
        litter = {
          action: `Unable to unlink resource ${request.path}`,
          errno: -unlinked,
          released: request.force,
        };
        if (!request.force) {
          // It stays held as it was: others may still want to share it.
          if (request.shared) lock(request.fd, F_RDLCK, LOCK_START, LOCK_LENGTH);
          return litter;
        }
      }
    }
  }
  // A POSIX lock goes with its descriptor: another resource of the same file may still rely on it.
  if (request.lock === "posix") return litter;
  // Explicit, because a copy of the descriptor may wait in the service manager's store.
  const unlocked = sys.ofdLock(request.fd, F_UNLCK, LOCK_START, LOCK_LENGTH);
  if (unlocked === 0) return litter;
  return {
    action: `Unable to release lock on resource ${request.path}`,
    errno: -unlocked,
    // It goes with the descriptor, which nobody else would ever give up.
    released: request.force,
  };
}
