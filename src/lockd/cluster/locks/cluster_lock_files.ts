import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { FileIdentity } from "../../lockspace/file_identity.ts";
import type { DirectoryFailure, FileFailure } from "../../lockspace/file_failure.ts";
import type { LockRequest, UnlockRequest } from "../../lockspace/lock_file.ts";
import type { LockFiles, LockFilesOutcome, UnlockFailed } from "../../lockspace/lock_files.ts";
import { NOBODY, type Owner } from "../../lockspace/owner.ts";
import type { ProcessMark } from "../../lockspace/owner_watch.ts";
import type { BlockDevices } from "../keys/block_devices.ts";
import type { DeviceIdentity } from "../keys/device_identity.ts";
import { AskLimit } from "./ask_limit.ts";
import type { ClusterLocks } from "./cluster_locks.ts";
import type { GrantedLocks } from "./granted_locks.ts";
import type { KeptLocks } from "./kept_locks.ts";
import type { LockTurns } from "./lock_turns.ts";
import type { NotTaken, Wanted } from "./wanted_lock.ts";
import { type ClusterName, type ClusterNames, unsuitable } from "../keys/names.ts";
import { holderOf } from "../keys/lock_holder.ts";

/**
 * First and longest pause before the kernel's lock of a file is tried again that no other host has in etcd
 * any more, in ms. Mostly its host gives it up a moment later; over a slow NFS that takes seconds.
 */
const AGAIN_MS = 50;
const LONGEST_AGAIN_MS = 500;

/** What is needed to hold lock files for the cluster. */
export interface ClusterLockFilesParts {
  /** The host's own locks: they come first, and go last. */
  readonly files: LockFiles;
  readonly names: ClusterNames;
  /** Undefined where block devices are this host's own matter. */
  readonly devices: Pick<BlockDevices, "of" | "at"> | undefined;
  /** Whether the storage of a file may hang: then it is no device. */
  readonly mayHang: (path: string, identity: FileIdentity) => boolean;
  readonly locks: Pick<ClusterLocks, "take" | "clear">;
  readonly turns: Pick<LockTurns, "give">;
  readonly granted: Pick<GrantedLocks, "of" | "took" | "forget">;
  readonly kept: Pick<KeptLocks, "markFor">;
  readonly loop: Pick<EventLoop, "after">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** How long who asks for a lock, or gives it back, waits for etcd, in ms. */
  readonly patience: () => number;
  /** How long this host may take to join the first time, in ms: 0 when it has. */
  readonly joining: () => number;
  /** An owner's process as the daemon sees it. */
  readonly markOf: (owner: Owner) => ProcessMark;
  /** Calls `go` when all that was recorded until now is in the journal. */
  readonly recorded: (go: () => void) => void;
  /** Calls `ready` when it is known what this host has in etcd, or that it will never be. */
  readonly whenKnown: (ready: () => void) => void;
}

/** How a lock of the kernel's is waited for that another host is about to give up. */
interface KernelWait {
  /** By the monotonic clock. */
  readonly until: number;
  /** Before the next try, in ms. */
  readonly pause: number;
}

/**
 * File operations of the lock core, of which those below the cluster's directories count for all its hosts:
 * the kernel's lock is taken first, then etcd's, and given back the other way round. All other files are
 * locked as ever.
 */
export class ClusterLockFiles implements LockFiles {
  readonly #parts: ClusterLockFilesParts;

  constructor(parts: ClusterLockFilesParts) {
    this.#parts = parts;
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    const { names, granted } = this.#parts;
    const { path } = request;
    const name = this.recognise(path);
    if (name === undefined) return this.#lockOther(request, done);
    const bad = unsuitable(name);
    const action = `Unable to acquire lock on resource ${path}`;
    const answer = (outcome: LockFilesOutcome) => {
      if (outcome.kind !== "granted" && granted.of(path) === undefined) names.forget(path);
      done(outcome);
    };
    if (bad !== undefined) return answer({ kind: "storage", action, reason: bad });
    this.#lock(request, name, this.#limitOf(request), undefined, answer);
  }

  /** A file that is in none of the cluster's directories; it may be a device. */
  #lockOther(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    const { files, names } = this.#parts;
    const limit = this.#limitOf(request);
    files.lock(request, (outcome) => {
      if (outcome.kind !== "granted") return done(outcome);
      const { path } = request;
      const device = this.learn(path, outcome.fd, outcome.identity);
      if (device?.kind === "untold") {
        const reason = `whether other hosts have this device too cannot be told: ${device.reason}`;
        const action = `Unable to acquire lock on resource ${path}`;
        return this.#undo(request, outcome, { kind: "storage", action, reason }, done);
      }
      if (device?.kind !== "shared") return done(outcome);
      const { name } = device;
      this.#take(request, this.#wanted(request, name, limit), outcome, (taken) => {
        if (taken.kind !== "granted") names.forget(path);
        done(taken);
      });
    });
  }

  /**
   * The cluster's name of a lock file, from now on known by this path too.
   *
   * @returns undefined when it is in none of the cluster's directories
   */
  recognise(path: string): ClusterName | undefined {
    const { names } = this.#parts;
    const known = names.of(path);
    if (known !== undefined) return known;
    const found = names.find(path);
    if (found !== undefined) names.learn(path, found);
    return found;
  }

  /**
   * The cluster's name of a lock that a guest had which is paused: this path may not be known any more.
   *
   * @returns undefined when it has none, or that cannot be told
   */
  nameOfPaused(path: string): ClusterName | undefined {
    const { names, devices } = this.#parts;
    const found = names.find(path);
    if (found !== undefined) return found;
    const device = devices?.at(path);
    return device?.kind === "shared" ? device.name : undefined;
  }

  /**
   * What a locked file is to all hosts. A device that others have too is from now on known by this path.
   *
   * @returns undefined when it is none
   */
  learn(path: string, fd: number, identity: FileIdentity): DeviceIdentity | undefined {
    const { names, devices, mayHang } = this.#parts;
    if (devices === undefined || mayHang(path, identity)) return undefined;
    const device = devices.of(fd);
    if (device?.kind === "shared") names.learn(path, device.name);
    return device;
  }

  /** @param waits set when no other host has it in etcd any more, and the kernel's lock is still tried */
  #lock(
    request: LockRequest,
    name: ClusterName,
    limit: AskLimit,
    waits: KernelWait | undefined,
    done: (outcome: LockFilesOutcome) => void,
  ): void {
    const { files, locks, loop, clock, patience } = this.#parts;
    files.lock(request, (outcome) => {
      const wanted = this.#wanted(request, name, limit);
      if (outcome.kind === "granted") return this.#take(request, wanted, outcome, done);
      if (outcome.kind !== "busy" || (waits !== undefined && clock() >= waits.until)) return done(outcome);
      // In a directory that hosts share another one may have it, which gives up the kernel's lock last.
      locks.clear(wanted, (cleared) => {
        if (cleared !== "free") return done(refusalOf(cleared, request.path));
        const { until, pause } = waits ?? { until: clock() + patience(), pause: AGAIN_MS };
        const next = { until, pause: Math.min(2 * pause, LONGEST_AGAIN_MS) };
        // Another host is waited for, and not etcd, which has just answered.
        limit.stop();
        loop.after(pause, () => {
          limit.run();
          this.#lock(request, name, limit, next, done);
        });
      });
    });
  }

  /** From when it is asked for: the kernel's lock may be on storage that is slow. */
  #limitOf({ within = Infinity }: LockRequest): AskLimit {
    const { loop, clock, patience, joining } = this.#parts;
    return new AskLimit({ loop, clock }, Math.max(Math.min(patience(), within), joining()));
  }

  #wanted(
    { shared, owner = NOBODY, resumed = () => true }: LockRequest,
    name: ClusterName,
    limit: AskLimit,
  ): Wanted {
    const { now, markOf } = this.#parts;
    return { name, shared, holder: holderOf(owner, markOf(owner), now()), resumed, limit };
  }

  unlock(
    request: UnlockRequest,
    identity: FileIdentity,
    slow: (failure: UnlockFailed) => void,
    done: (failure: UnlockFailed | undefined) => void,
  ): void {
    const { files, names, turns, granted, kept, loop, patience, whenKnown, recorded } = this.#parts;
    const { path, paused } = request;
    const name = names.of(path);
    if (name === undefined) return files.unlock(request, identity, slow, done);
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
      const lock = granted.of(path);
      const kernel = () => {
        timer.cancel();
        granted.forget(path);
        names.forget(path);
        files.unlock(request, identity, once, done);
      };
      if (lock === undefined) return kernel();
      const mark = kept.markFor(name, paused);
      // Of a session that is lost etcd keeps it, which is the safe side: nobody else gets it there.
      recorded(() => turns.give(lock, kernel, mark));
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
    request: LockRequest,
    wanted: Wanted,
    granted: Extract<LockFilesOutcome, { kind: "granted" }>,
    done: (outcome: LockFilesOutcome) => void,
  ): void {
    const { locks } = this.#parts;
    const { path } = request;
    locks.take(wanted, (taken) => {
      if (taken.kind === "taken") {
        this.#parts.granted.took(path, taken.lock, taken.changed);
        return done(granted);
      }
      this.#undo(request, granted, refusalOf(taken, path), done);
    });
  }

  /** The kernel's lock is given up again, for it is refused all the same. */
  #undo(
    { path, shared, autocreate }: LockRequest,
    { fd, identity }: Extract<LockFilesOutcome, { kind: "granted" }>,
    refused: LockFilesOutcome,
    done: (outcome: LockFilesOutcome) => void,
  ): void {
    let told = false;
    const once = () => {
      if (!told) done(refused);
      told = true;
    };
    const request = { path, fd, lock: "ofd", shared, autocreate, force: true } as const;
    this.#parts.files.unlock(request, identity, once, once);
  }
}

function refusalOf(taken: NotTaken, path: string): LockFilesOutcome {
  switch (taken.kind) {
    case "held":
      return { kind: "elsewhere", by: taken.by };
    case "used": {
      const { host, domain: name, uuid, pid, since } = taken.by;
      return { kind: "used", use: { owner: { name, uuid, pid, id: 0 }, since, host } };
    }
    case "failed":
      return { kind: "storage", action: `Unable to acquire lock on resource ${path}`, reason: taken.reason };
  }
}
