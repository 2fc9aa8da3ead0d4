import { takeOut } from "../../base/lists.ts";
import type { Timer } from "../../chassis/event/event_loop.ts";
import { EACCES, EAGAIN, EMFILE, strerror } from "../../os/errno.ts";
import { SystemError } from "../../os/system_error.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { CloseFile, LockRequest, UnlockRequest } from "../lockspace/lock_file.ts";
import type { LockFiles, LockFilesOutcome, UnlockFailed } from "../lockspace/lock_files.ts";
import type { DirectoryFailure, FileFailure } from "../lockspace/file_failure.ts";
import type { Verdict } from "../lockspace/settler.ts";
import type { ForeignHolder } from "../lockspace/refusal.ts";
import { HelperLink, type LinkParts, type LinkUser } from "./helper_link.ts";
import type { FileOwner, FromHelper, StorageResult, StorageTask } from "./helper_protocol.ts";
import type { Synced } from "./last_writes.ts";
import type { HelperCommand } from "./program_run.ts";
import type { HelperStarter } from "./helper_starter.ts";
import { type Mount, typeKeepsLocks, type UserIds } from "./mount_tree.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import { lateOutcome, type StorageAsk, type StorageJob, undoneOutcome } from "./storage_job.ts";
import type { StorageObserver } from "./storage_observer.ts";

/** A helper without work ends after this time, in ms. */
export const IDLE_MS = 60_000;
/** How much longer a program's result may take than the program, in ms: its helper has to start. */
const RUN_MARGIN_MS = 5000;
const NONSENSE = "its helper process gave an answer to another question";

/** A question about the last writes of an owner that is gone. */
export type JudgeTask = Extract<StorageTask, { op: "judge-guards" | "judge-openers" }>;

/** For a client whose helper is another user: starts it. */
export interface DeputyStart {
  readonly ids: UserIds;
  /** @throws SystemError when it cannot be started */
  start(user: LinkUser): HelperLink;
}

/** Why the lock of an open file was not set. */
export interface LockTrouble {
  /** "taken": somebody else has a lock in its way. "unset": nothing more is known. */
  readonly kind: "taken" | "unset";
  readonly reason: string;
}

/** What a client needs of the daemon. */
export interface StorageClientParts extends LinkParts {
  readonly starter: Pick<HelperStarter, "start" | "pin">;
  /** Closes the daemon's descriptor of a lock file. */
  readonly closeFile: CloseFile;
  /** How long an asker waits, in ms. */
  readonly timeLimit: () => number;
  readonly observer: StorageObserver;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** The helper was let go because it had no work. */
  readonly rested: () => void;
}

/** How a place is doing, for metrics and for people. */
export interface StorageStatus {
  /** Undefined: local files, of which a helper only finds the holders. */
  readonly mount: Mount | undefined;
  /** "absent": no helper process. "hung": the operation in work has passed the time limit. */
  readonly state: "absent" | "idle" | "working" | "hung";
  /** Unix milliseconds at which the operation in work began. */
  readonly since: number | undefined;
  /** Operations that wait for their turn. */
  readonly waiting: number;
  /** Process id of the helper, once it has started. */
  readonly helper: number | undefined;
}

/**
 * File operations on one place whose storage may hang, done one after the other by a helper process.
 *
 * The helper starts with the first ask. Who asks gets an answer within the time limit, whatever the storage
 * does. A helper that hangs is left alone: it cannot be killed, and another one would hang too.
 */
export class StorageClient implements LockFiles {
  readonly #parts: StorageClientParts;
  readonly #queue: StorageJob[] = [];
  readonly #deputy: DeputyStart | undefined;
  /** The newest mount of this place. */
  mount: Mount | undefined;
  #link: HelperLink | undefined;
  #helper: number | undefined;
  #current: StorageJob | undefined;
  #hung: { since: number } | undefined;
  #idle: Timer | undefined;
  #nextId = 1;

  /**
   * @param mount undefined for local files
   * @param deputy given where the helper is not the daemon's user
   */
  constructor(parts: StorageClientParts, mount: Mount | undefined, deputy?: DeputyStart) {
    this.#parts = parts;
    this.mount = mount;
    this.#deputy = deputy;
  }

  /** Whether it has a helper process. */
  get active(): boolean {
    return this.#link !== undefined;
  }

  /** How the place is doing. */
  get status(): StorageStatus {
    const phase = this.#current?.phase;
    return {
      mount: this.mount,
      state: this.#hung !== undefined
        ? "hung"
        : this.#current !== undefined
        ? "working"
        : this.#link !== undefined
        ? "idle"
        : "absent",
      since: phase === undefined || phase.kind === "waiting" ? undefined : phase.since,
      waiting: this.#queue.length,
      helper: this.#helper,
    };
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    const { path, shared, autocreate, create = autocreate, followLinks, record } = request;
    const action = `Unable to acquire lock on resource ${path}`;
    const file = { path, shared, autocreate, create, followLinks };
    const recorded = record !== undefined && autocreate && !shared && !followLinks;
    const lost = (reason: string) => done({ kind: "storage", action, reason });
    this.#submit({
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
    this.#submit({
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
    this.#submit({
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
    this.#submit({
      task: { op: "check-directory", path },
      action,
      lost,
      answered: (result) => result.kind === "checked" ? done(result.failure) : lost(NONSENSE),
    });
  }

  /** Finds who holds a file that was refused. */
  findHolder(path: string, identity: FileIdentity, done: (holder: ForeignHolder) => void): void {
    this.#submit({
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
   * Has the last writes of an owner that is gone judged.
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
    this.#submit({
      task,
      action: "Unable to tell whether the last writes of a guest have landed",
      ...descriptor === undefined ? {} : { descriptor },
      lost,
      answered: (result) => result.kind === "judged" ? done(result.verdict) : lost(NONSENSE),
    });
  }

  /** Finds whose a file is that was refused; undefined when that cannot be seen. */
  findOwner(path: string, done: (owner: FileOwner | undefined) => void): void {
    this.#submit({
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
    this.#submit({
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
    this.#submit({
      task: { op: "run", command, limit },
      action: `Unable to run ${command.path}`,
      limit: limit + RUN_MARGIN_MS,
      lost,
      answered: (result) => result.kind === "ran" ? done(result.program) : lost(NONSENSE),
    });
  }

  /** Lets the helper go, without waiting for anything: what it was doing it undoes or completes. */
  close(): void {
    this.#idle?.cancel();
    for (const job of [this.#current, ...this.#queue]) job?.timer?.cancel();
    this.#dropLink()?.close();
  }

  #change(task: StorageTask, action: string, done: (failure: FileFailure | undefined) => void): void {
    const lost = (reason: string) => done({ kind: "storage", action, reason });
    this.#submit({
      task,
      action,
      lost,
      answered: (result) => result.kind === "done" ? done(result.failure) : lost(NONSENSE),
    });
  }

  #submit(ask: StorageAsk): void {
    this.#idle?.cancel();
    this.#idle = undefined;
    const limit = ask.limit ?? this.#parts.timeLimit();
    const job: StorageJob = {
      id: this.#nextId++,
      ask,
      phase: { kind: "waiting" },
      limit,
      timer: this.#parts.loop.after(limit, () => this.#expire(job)),
      repeated: false,
    };
    this.#queue.push(job);
    this.#next();
  }

  /** Gives the helper its next job, or lets it rest. */
  #next(): void {
    while (this.#current === undefined) {
      const job = this.#queue.shift();
      if (job === undefined) return this.#rest();
      try {
        this.#link ??= this.#start();
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        this.#parts.observer.storageHelperEnded(this.#name, error.message);
        this.#lose(job, error.message);
        continue;
      }
      this.#current = job;
      job.phase = { kind: "running", since: this.#parts.now() };
      const { task, descriptor } = job.ask;
      this.#link.send({ kind: "task", id: job.id, task }, descriptor === undefined ? [] : [descriptor]);
    }
  }

  #start(): HelperLink {
    const user: LinkUser = {
      received: (message, descriptors) => this.#received(message, descriptors),
      ended: (reason) => this.#ended(reason),
    };
    if (this.#deputy !== undefined) return this.#deputy.start(user);
    const { link, far } = HelperLink.pair(this.#parts, user);
    try {
      this.#parts.starter.start(far);
      return link;
    } catch (error) {
      link.close();
      throw error;
    } finally {
      this.#parts.sys.close(far);
    }
  }

  #rest(): void {
    if (this.#link === undefined || this.#idle !== undefined) return;
    this.#idle = this.#parts.loop.after(IDLE_MS, () => {
      this.#idle = undefined;
      this.#dropLink()?.close();
      this.#parts.rested();
    });
  }

  #received(message: FromHelper, descriptors: readonly number[]): void {
    if (message.kind === "ready") {
      this.#helper = message.pid;
      return;
    }
    if (message.kind === "failed") return;
    const { id, result } = message;
    const job = this.#current;
    if (job?.id !== id) {
      // Of a lock that had come already when it was undone.
      if (result.kind === "undone") this.#late(undoneOutcome(result));
      return;
    }
    this.#current = undefined;
    this.#recovered();
    if (job.phase.kind === "late") {
      this.#late(lateOutcome(job.ask, result));
      if (result.kind === "granted") this.#closeAll(descriptors, result.identity);
    } else {
      this.#answer(job, result, descriptors);
    }
    this.#next();
  }

  #answer(job: StorageJob, result: StorageResult, descriptors: readonly number[]): void {
    job.timer?.cancel();
    const [descriptor] = descriptors;
    if (result.kind === "granted") {
      // A helper that never learns of it would release, at its end, a lock that is in use.
      const settled = this.#link?.send({ kind: descriptor === undefined ? "undo" : "settled", id: job.id });
      if (settled !== true) {
        this.#closeAll(descriptors, result.identity);
        return job.ask.lost("its helper process cannot be reached");
      }
    }
    job.ask.answered(result, descriptor);
    // The daemon's copy is closed by now: the last one, whose closing takes longer, is the helper's.
    if (result.kind === "released") this.#link?.send({ kind: "settled", id: job.id });
  }

  #late(outcome: string | undefined): void {
    if (outcome !== undefined) this.#parts.observer.storageLate(this.#name, outcome);
  }

  #closeAll(descriptors: readonly number[], identity: FileIdentity): void {
    for (const descriptor of descriptors) this.#parts.closeFile(descriptor, identity);
  }

  #expire(job: StorageJob): void {
    job.timer = undefined;
    const seconds = job.limit / 1000;
    const reason = this.#link !== undefined && this.#helper === undefined
      ? `the helper process for ${this.#name} did not start within ${seconds} s`
      : `${this.#name} did not answer within ${seconds} s`;
    if (job.phase.kind === "running" && this.#hung === undefined) {
      this.#hung = { since: job.phase.since };
      this.#parts.observer.storageHung(this.#name, job.ask.action);
    }
    if (job.ask.slow !== undefined) return job.ask.slow(reason);
    if (job.phase.kind === "running") {
      job.phase = { kind: "late", since: job.phase.since };
      if (job.ask.task.op === "lock") this.#link?.send({ kind: "undo", id: job.id });
    } else {
      takeOut(this.#queue, job);
    }
    job.ask.lost(reason);
  }

  #ended(reason: string): void {
    this.#dropLink();
    this.#hung = undefined;
    this.#parts.observer.storageHelperEnded(this.#name, reason);
    const job = this.#current;
    this.#current = undefined;
    if (job !== undefined && job.phase.kind !== "late") {
      const release = job.ask.slow !== undefined;
      if (release && !job.repeated) {
        // A release may be done twice, and has to be done.
        job.repeated = true;
        job.phase = { kind: "waiting" };
        this.#queue.unshift(job);
      } else {
        this.#lose(job, reason);
      }
    }
    this.#next();
  }

  #lose(job: StorageJob, reason: string): void {
    job.timer?.cancel();
    job.ask.lost(reason);
  }

  #recovered(): void {
    if (this.#hung === undefined) return;
    this.#parts.observer.storageRecovered(this.#name, this.#parts.now() - this.#hung.since);
    this.#hung = undefined;
  }

  #dropLink(): HelperLink | undefined {
    const link = this.#link;
    this.#link = undefined;
    this.#helper = undefined;
    return link;
  }

  get #name(): string {
    if (this.mount === undefined) return "the helper for local work";
    const as = this.#deputy === undefined ? "" : `, asked as user ${this.#deputy.ids.uid}`;
    return `storage at ${this.mount.point}${as}`;
  }
}
