import { EAGAIN, EIO, EISDIR, ENOENT } from "../../src/os/errno.ts";
import type { DescriptorLedger } from "../../src/os/ledger.ts";
import type { FileIdentity } from "../../src/lockd/lockspace/file_identity.ts";
import type { LockRequest, UnlockRequest } from "../../src/lockd/lockspace/lock_file.ts";
import type { LockFiles, LockFilesOutcome, UnlockFailed } from "../../src/lockd/lockspace/lock_files.ts";
import type { DirectoryFailure, FileFailure } from "../../src/lockd/lockspace/file_failure.ts";

/** Descriptors of files in memory have numbers that the kernel never gives. */
const FIRST_DESCRIPTOR = 1_000_000;

interface MemoryFile {
  readonly identity: FileIdentity;
  /** Modes by descriptor. */
  readonly locks: Map<number, { readonly shared: boolean }>;
}

/** How operations on files in memory go. */
export interface MemoryFaults {
  /** Runs an answer: at once, or later. */
  answer(run: () => void): void;
  /** Whether the next operation fails. */
  fails(): boolean;
}

/** Lock files that are only in memory: any path may be used. Locks conflict as the kernel's do. */
export class MemoryLockFiles implements LockFiles {
  readonly #ledger: DescriptorLedger;
  readonly #faults: MemoryFaults;
  readonly #files = new Map<string, MemoryFile>();
  readonly #open = new Map<number, MemoryFile>();
  #nextDescriptor = FIRST_DESCRIPTOR;
  #nextInode = 1;

  /** @param ledger owns the descriptors that are handed out; they are given back through {@link close} */
  constructor(ledger: DescriptorLedger, faults: MemoryFaults) {
    this.#ledger = ledger;
    this.#faults = faults;
  }

  /** Descriptors that are open, each with a lock. */
  get descriptors(): ReadonlySet<number> {
    return new Set(this.#open.keys());
  }

  /** Whether a descriptor is one of these. */
  static owns(fd: number): boolean {
    return fd >= FIRST_DESCRIPTOR;
  }

  /** close(2): the lock goes with the descriptor. */
  close(fd: number): void {
    this.#open.get(fd)?.locks.delete(fd);
    this.#open.delete(fd);
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    const outcome = this.#lock(request);
    this.#faults.answer(() => done(outcome));
  }

  unlock(
    request: UnlockRequest,
    _identity: FileIdentity,
    slow: (failure: UnlockFailed) => void,
    done: (failure: UnlockFailed | undefined) => void,
  ): void {
    const { fd, path, autocreate, shared, force } = request;
    const fails = this.#faults.fails() && !force;
    const file = this.#open.get(fd);
    if (file === undefined) throw new Error(`Unlock ${path}: descriptor ${fd} is not open`);
    if (this.#faults.fails()) {
      slow({ kind: "storage", action: `Release ${path}`, reason: "slow", released: false });
    }
    this.#faults.answer(() => {
      if (fails) return done({ kind: "system", action: `Unlock ${path}`, errno: EIO, released: false });
      if (autocreate && (!shared || file.locks.size === 1)) this.#files.delete(path);
      this.#ledger.close(fd);
      done(undefined);
    });
  }

  create(path: string, _followLinks: boolean, done: (failure: FileFailure | undefined) => void): void {
    const failure = this.#refusal(path);
    if (failure === undefined) this.#make(path);
    this.#faults.answer(() => done(failure));
  }

  remove(path: string, done: (failure: FileFailure | undefined) => void): void {
    const failure = this.#refusal(path);
    if (failure === undefined) this.#files.delete(path);
    this.#faults.answer(() => done(failure));
  }

  checkDirectory(_path: string, done: (failure: DirectoryFailure | undefined) => void): void {
    this.#faults.answer(() => done({ kind: "unfit", reason: "nothing is adopted here" }));
  }

  makeDirectory(path: string, done: (failure: FileFailure | undefined) => void): void {
    const failure: FileFailure | undefined = this.#files.has(path)
      ? { kind: "not-a-directory", path }
      : this.#refusal(`${path}x`);
    this.#faults.answer(() => done(failure));
  }

  #lock({ path, shared, autocreate }: LockRequest): LockFilesOutcome {
    const action = `Unable to open resource ${path}`;
    const refusal = this.#refusal(path);
    if (refusal?.kind === "system") return { kind: "failed", action, errno: refusal.errno };
    if (refusal?.kind === "storage") return refusal;
    const file = this.#files.get(path) ?? (autocreate ? this.#make(path) : undefined);
    if (file === undefined) return { kind: "failed", action, errno: ENOENT };
    if ([...file.locks.values()].some((lock) => !lock.shared || !shared)) {
      return { kind: "busy", identity: file.identity, pid: -1 };
    }
    const fd = this.#nextDescriptor++;
    file.locks.set(fd, { shared });
    this.#open.set(fd, file);
    return { kind: "granted", fd, identity: file.identity };
  }

  #refusal(path: string): FileFailure | undefined {
    const action = `Unable to use ${path}`;
    if (path === "" || path.endsWith("/")) return { kind: "system", action, errno: EISDIR };
    if (!this.#faults.fails()) return undefined;
    return this.#faults.fails()
      ? { kind: "storage", action, reason: "it does not answer" }
      : { kind: "system", action, errno: EAGAIN };
  }

  #make(path: string): MemoryFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const identity = { devMajor: 0, devMinor: 1, inodeLow: this.#nextInode++, inodeHigh: 0 };
    const file = { identity, locks: new Map() };
    this.#files.set(path, file);
    return file;
  }
}
