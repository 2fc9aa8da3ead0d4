import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { DirectoryFailure, FileFailure } from "../lockspace/file_failure.ts";
import type { LockRequest, UnlockRequest } from "../lockspace/lock_file.ts";
import type { LockFiles, LockFilesOutcome, UnlockFailed } from "../lockspace/lock_files.ts";
import { NOBODY, type Owner } from "../lockspace/owner.ts";
import type { ProcessMark } from "../lockspace/owner_watch.ts";
import type { ClusterLocks } from "./cluster_locks.ts";
import { type ClusterName, type ClusterNames, unsuitable } from "./names.ts";
import { holderOf } from "./records.ts";
import type { ClusterLock } from "./transactions.ts";

/** What is needed to hold lock files for the cluster. */
export interface ClusterLockFilesParts {
  /** The host's own locks: they come first, and go last. */
  readonly files: LockFiles;
  readonly names: ClusterNames;
  readonly locks: Pick<ClusterLocks, "take" | "give">;
  readonly loop: Pick<EventLoop, "after">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** How long an answer of etcd is waited for, in ms. */
  readonly patience: () => number;
  /** An owner's process as the daemon sees it. */
  readonly markOf: (owner: Owner) => ProcessMark;
  /** Calls `ready` when it is known what this host has in etcd, or that it will never be. */
  readonly whenKnown: (ready: () => void) => void;
}

/**
 * File operations of the lock core, of which those below the cluster's directories count for all its hosts:
 * the kernel's lock is taken first, then etcd's, and given back the other way round. All other files are
 * locked as ever.
 */
export class ClusterLockFiles implements LockFiles {
  readonly #parts: ClusterLockFilesParts;
  /** What etcd has for this host, by the path of the lock file. */
  readonly #held = new Map<string, ClusterLock>();

  constructor(parts: ClusterLockFilesParts) {
    this.#parts = parts;
  }

  /** How many locks etcd has for this host. */
  get count(): number {
    return this.#held.size;
  }

  /** What etcd has for a lock file. */
  of(path: string): ClusterLock | undefined {
    return this.#held.get(path);
  }

  /** etcd has it from before. */
  adopt(path: string, lock: ClusterLock): void {
    this.#held.set(path, lock);
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    const { files, names } = this.#parts;
    const { path } = request;
    const name = names.of(path);
    if (name === undefined) return files.lock(request, done);
    const bad = unsuitable(name);
    const action = `Unable to acquire lock on resource ${path}`;
    if (bad !== undefined) return done({ kind: "storage", action, reason: bad });
    files.lock(request, (outcome) => {
      if (outcome.kind !== "granted") return done(outcome);
      this.#take(request, name, outcome, done);
    });
  }

  unlock(
    request: UnlockRequest,
    identity: FileIdentity,
    slow: (failure: UnlockFailed) => void,
    done: (failure: UnlockFailed | undefined) => void,
  ): void {
    const { files, names, locks, loop, patience, whenKnown } = this.#parts;
    const { path } = request;
    if (names.of(path) === undefined) return files.unlock(request, identity, slow, done);
    let told = false;
    const timer = loop.after(patience(), () => {
      told = true;
      const action = `Unable to release lock on resource ${path}`;
      slow({ kind: "storage", action, reason: "etcd does not answer; it goes on", released: false });
    });
    const once = (failure: UnlockFailed) => {
      if (!told) slow(failure);
      told = true;
    };
    whenKnown(() => {
      const lock = this.#held.get(path);
      const kernel = () => {
        timer.cancel();
        this.#held.delete(path);
        files.unlock(request, identity, once, done);
      };
      if (lock === undefined) kernel();
      // Of a session that is lost etcd keeps it, which is the safe side: nobody else gets it there.
      else locks.give(lock, kernel);
    });
  }

  create(path: string, followLinks: boolean, done: (failure: FileFailure | undefined) => void): void {
    this.#parts.files.create(path, followLinks, done);
  }

  remove(path: string, done: (failure: FileFailure | undefined) => void): void {
    this.#parts.files.remove(path, done);
  }

  makeDirectory(path: string, done: (failure: FileFailure | undefined) => void): void {
    this.#parts.files.makeDirectory(path, done);
  }

  checkDirectory(path: string, done: (failure: DirectoryFailure | undefined) => void): void {
    this.#parts.files.checkDirectory(path, done);
  }

  /** The kernel has given the lock to this host; now the cluster is asked. */
  #take(
    { path, shared, autocreate, owner = NOBODY }: LockRequest,
    name: ClusterName,
    granted: Extract<LockFilesOutcome, { kind: "granted" }>,
    done: (outcome: LockFilesOutcome) => void,
  ): void {
    const { files, locks, clock, now, patience, markOf } = this.#parts;
    const holder = holderOf(owner, markOf(owner), now());
    locks.take({ name, shared, holder, until: clock() + patience() }, (taken) => {
      if (taken.kind === "taken") {
        this.#held.set(path, taken.lock);
        return done(granted);
      }
      const refused: LockFilesOutcome = taken.kind === "held"
        ? { kind: "elsewhere", by: taken.by }
        : { kind: "storage", action: `Unable to acquire lock on resource ${path}`, reason: taken.reason };
      let told = false;
      const once = () => {
        if (!told) done(refused);
        told = true;
      };
      const { fd, identity } = granted;
      files.unlock({ path, fd, lock: "ofd", shared, autocreate, force: true }, identity, once, once);
    });
  }
}
