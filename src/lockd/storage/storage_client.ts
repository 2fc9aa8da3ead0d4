import { EACCES, EAGAIN, EMFILE, strerror } from "../../os/errno.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { LockRequest, UnlockRequest } from "../lockspace/lock_file.ts";
import type { LockFiles, LockFilesOutcome, UnlockFailed } from "../lockspace/lock_files.ts";
import type { DirectoryFailure, FileFailure } from "../lockspace/file_failure.ts";
import type { Verdict } from "../lockspace/settler.ts";
import type { ForeignHolder } from "../lockspace/refusal.ts";
import type { FileOwner, HelperCommand, StorageTask } from "./helper_protocol.ts";
import type { Synced } from "./last_writes.ts";
import { type Mount, typeKeepsLocks } from "./mount_tree.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import {
  type DeputyStart,
  StorageQueue,
  type StorageQueueParts,
  type StorageStatus,
} from "./storage_queue.ts";

/** How much longer a program's result may take than the program, in ms: its helper has to start. */
const RUN_MARGIN_MS = 5000;
/** Longest time that word of an owner's last writes is waited for, in ms: no client waits for it. */
const LONGEST_JUDGING_MS = 60_000;
const NONSENSE = "its helper process gave an answer to another question";

/** A question about the last writes of an owner that is gone. */
export type JudgeTask = Extract<StorageTask, { op: "judge-guards" | "judge-openers" }>;

/** Why the lock of an open file was not set. */
export interface LockTrouble {
  /** "taken": somebody else has a lock in its way. "unset": nothing more is known. */
  readonly kind: "taken" | "unset";
  readonly reason: string;
}

/**
 * File operations on one place whose storage may hang, done one after the other by a helper process. Who asks
 * gets an answer within the time limit, whatever the storage does.
 */
export class StorageClient implements LockFiles {
  readonly #parts: Pick<StorageQueueParts, "starter" | "closeFile" | "observer" | "timeLimit">;
  readonly #queue: StorageQueue;
  /** How long the next answer about last writes is waited for, in ms; undefined: as long as any other. */
  #judging: number | undefined;

  /**
   * @param mount undefined for local files
   * @param deputy given where the helper is not the daemon's user
   */
  constructor(parts: StorageQueueParts, mount: Mount | undefined, deputy?: DeputyStart) {
    this.#parts = parts;
    this.#queue = new StorageQueue(parts, mount, deputy);
  }

  /** The newest mount of this place. */
  get mount(): Mount | undefined {
    return this.#queue.mount;
  }

  set mount(mount: Mount | undefined) {
    this.#queue.mount = mount;
  }

  /** Whether it has a helper process. */
  get active(): boolean {
    return this.#queue.active;
  }

  /** How the place is doing. */
  get status(): StorageStatus {
    return this.#queue.status;
  }

  /** Lets the helper go: {@link StorageQueue.close}. */
  close(): void {
    this.#queue.close();
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    const { path, shared, autocreate, create = autocreate, followLinks, record } = request;
    const action = `Unable to acquire lock on resource ${path}`;
    const file = { path, shared, autocreate, create, followLinks };
    const recorded = record !== undefined && autocreate && !shared && !followLinks;
    const lost = (reason: string) => done({ kind: "storage", action, reason });
    this.#queue.submit({
      task: { op: "lock", request: recorded ? { ...file, record: record() } : file },
      action,
      lost,
      answered: (result, descriptor) => {
        if (result.kind === "refused") return done(result.outcome);
        if (result.kind !== "granted") return lost(NONSENSE);
        if (descriptor === undefined) return done({ kind: "failed", action, errno: EMFILE });
        if (this.mount !== undefined) this.#parts.starter.pin();
        if (result.recordErrno !== undefined) {
          this.#parts.observer.ownerRecordFailed(path, result.recordErrno);
        }
        done({ kind: "granted", fd: descriptor, identity: result.identity });
      },
    });
  }

  unlock(
    request: UnlockRequest,
    identity: FileIdentity,
    slow: (failure: UnlockFailed) => void,
    done: (failure: UnlockFailed | undefined) => void,
  ): void {
    const { fd, path, lock, shared, autocreate, force } = request;
    const action = `Unable to release lock on resource ${path}`;
    const storage = (reason: string): UnlockFailed => ({ kind: "storage", action, reason, released: false });
    this.#queue.submit({
      task: { op: "unlock", request: { path, lock, shared, autocreate, force } },
      action,
      descriptor: fd,
      slow: (reason) => slow(storage(reason)),
      lost: (reason) => done(storage(reason)),
      answered: (result) => {
        if (result.kind !== "released") return done(storage(NONSENSE));
        const { failure } = result;
        if (failure === undefined || failure.released) this.#parts.closeFile(fd, identity);
        done(failure === undefined ? undefined : { kind: "system", ...failure });
      },
    });
  }

  create(path: string, followLinks: boolean, done: (failure: FileFailure | undefined) => void): void {
    this.#change({ op: "create", path, followLinks }, `cannot create file '${path}'`, done);
  }

  remove(path: string, done: (failure: FileFailure | undefined) => void): void {
    this.#change({ op: "remove", path }, `Unable to delete lockspace resource ${path}`, done);
  }

  makeDirectory(path: string, done: (failure: FileFailure | undefined) => void): void {
    this.#change({ op: "make-directory", path }, `Unable to create lockspace ${path}`, done);
  }

  /**
   * Asks the storage of an open file for an answer.
   *
   * @param fd stays the caller's
   * @param done gets undefined, or why there was none
   */
  probe(path: string, fd: number, done: (reason: string | undefined) => void): void {
    this.#onDescriptor({ op: "probe", path }, `Unable to ask for locks on ${path}`, fd, done);
  }

  /**
   * Sets the lock of an open file's description.
   *
   * @param fd stays the caller's
   * @param type F_RDLCK, F_WRLCK or F_UNLCK
   * @param done gets undefined, or why it was not set; at the time limit it may still come to be
   */
  setLock(path: string, fd: number, type: number, done: (trouble: LockTrouble | undefined) => void): void {
    const task = { op: "set-lock", path, type } as const;
    this.#onDescriptor(task, `Unable to set the lock on ${path}`, fd, (reason, errno) => {
      if (reason === undefined) return done(undefined);
      const taken = errno === EAGAIN || errno === EACCES;
      done({ kind: taken ? "taken" : "unset", reason });
    });
  }

  #onDescriptor(
    task: StorageTask,
    action: string,
    descriptor: number,
    done: (reason: string | undefined, errno?: number) => void,
  ): void {
    this.#queue.submit({
      task,
      action,
      descriptor,
      lost: done,
      answered: (result) => {
        if (result.kind !== "done") return done(NONSENSE);
        const { failure } = result;
        if (failure?.kind !== "system") return done(undefined);
        done(`${failure.action}: ${strerror(failure.errno)}`, failure.errno);
      },
    });
  }

  checkDirectory(path: string, done: (failure: DirectoryFailure | undefined) => void): void {
    const action = `Unable to look at ${path}`;
    const lost = (reason: string) => done({ kind: "storage", action, reason });
    this.#queue.submit({
      task: { op: "check-directory", path },
      action,
      lost,
      answered: (result) => result.kind === "checked" ? done(result.failure) : lost(NONSENSE),
    });
  }

  /** Finds who holds a file that was refused. */
  findHolder(path: string, identity: FileIdentity, done: (holder: ForeignHolder) => void): void {
    this.#queue.submit({
      task: { op: "find-holder", path, identity, shared: this.mount !== undefined },
      action: `Unable to find the holder of ${path}`,
      lost: () => done({ kind: "unknown" }),
      answered: (result) => {
        if (result.kind !== "holder") return done({ kind: "unknown" });
        const { mount } = this;
        const kept = result.holder.kind === "other-host" && mount !== undefined && typeKeepsLocks(mount.type);
        done(kept ? { kind: "file-system", mount: mount.point } : result.holder);
      },
    });
  }

  /**
   * Has the last writes of an owner that is gone judged. An answer that comes too late counts for nothing,
   * and the question is asked again: so each time that none has come it is waited for longer. Else a lock
   * would stay for ever on a host, or with storage, that is always a little slower than the time limit.
   *
   * @param descriptor of a locked image; stays the caller's
   * @param lost called in the place of `done` when there is no answer
   */
  judge(
    task: JudgeTask,
    descriptor: number | undefined,
    done: (verdict: Verdict) => void,
    // Storage that does not answer may still have a write of its own to do.
    lost: (reason: string) => void = (reason) => done({ kind: "busy", reason }),
  ): void {
    const limit = this.#judging ?? this.#parts.timeLimit();
    this.#queue.submit({
      task,
      action: "Unable to tell whether the last writes of a guest have landed",
      ...descriptor === undefined ? {} : { descriptor },
      limit,
      lost: (reason) => {
        this.#judging = Math.max(limit, Math.min(limit * 2, LONGEST_JUDGING_MS));
        lost(reason);
      },
      answered: (result) => result.kind === "judged" ? done(result.verdict) : lost(NONSENSE),
    });
  }

  /** Finds whose a file is that was refused; undefined when that cannot be seen. */
  findOwner(path: string, done: (owner: FileOwner | undefined) => void): void {
    this.#queue.submit({
      task: { op: "find-owner", path },
      action: `Unable to find the owner of ${path}`,
      lost: () => done(undefined),
      answered: (result) => done(result.kind === "owner" ? result.owner : undefined),
    });
  }

  /**
   * Brings to the medium what the page cache still has of a file.
   *
   * @param done gets whether the file may not be opened by the helper's user, too
   */
  sync(path: string, done: (synced: Synced) => void): void {
    const lost = (reason: string) => done({ verdict: { kind: "busy", reason }, denied: false });
    this.#queue.submit({
      task: { op: "sync", path },
      action: `Unable to bring the last writes to ${path} to its medium`,
      lost,
      answered: (result) => {
        if (result.kind !== "judged" && result.kind !== "denied") return lost(NONSENSE);
        done({ verdict: result.verdict, denied: result.kind === "denied" });
      },
    });
  }

  /**
   * Runs a program. A child of the daemon's own would not start while storage hangs on which the daemon has
   * open files.
   *
   * @param limit milliseconds after which it is killed
   */
  run(command: HelperCommand, limit: number, done: (result: ProgramResult) => void): void {
    const lost = (reason: string) => done({ kind: "failed", reason });
    this.#queue.submit({
      task: { op: "run", command, limit },
      action: `Unable to run ${command.path}`,
      limit: limit + RUN_MARGIN_MS,
      lost,
      answered: (result) => result.kind === "ran" ? done(result.program) : lost(NONSENSE),
    });
  }

  #change(task: StorageTask, action: string, done: (failure: FileFailure | undefined) => void): void {
    const lost = (reason: string) => done({ kind: "storage", action, reason });
    this.#queue.submit({
      task,
      action,
      lost,
      answered: (result) => result.kind === "done" ? done(result.failure) : lost(NONSENSE),
    });
  }
}
