import { ShapeError } from "../../base/shape.ts";
import { F_DUPFD_CLOEXEC, SIGCHLD } from "../../os/constants.ts";
import { EAGAIN, ECONNRESET, EMFILE, strerror } from "../../os/errno.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import { type FileIdentity, identityOf, mayName } from "../lockspace/file_identity.ts";
import { lockFile, type UnlockFailure, unlockFile, type UnlockRequest } from "../lockspace/lock_file.ts";
import { decodeToHelper } from "./helper_decoding.ts";
import {
  encodeMessage,
  type FromHelper,
  MESSAGE_LIMIT,
  otherVersion,
  PROTOCOL_VERSION,
  type StorageLockRequest,
  type StorageResult,
  type StorageTask,
  type ToHelper,
} from "./helper_protocol.ts";
import { spawnHelper } from "./helper_spawn.ts";
import { settleRecord } from "./owner_record.ts";
import { runErrand } from "./storage_errand.ts";

/** A descriptor that the daemon has not settled yet. */
type Kept =
  /** A lock that the daemon may not have taken: it is released unless the daemon says so. */
  | { readonly kind: "granted"; readonly fd: number; readonly request: StorageLockRequest }
  /** A lock that is released. The last close of a file on the network takes a while, so it is done here. */
  | { readonly kind: "released"; readonly fd: number };

interface Received {
  readonly message: ToHelper;
  readonly descriptors: readonly number[];
}

/**
 * What a helper process does: whatever the daemon asks of storage that may hang, one thing after the other,
 * until the daemon is gone or does not need it any more. What the daemon has not settled by then is released.
 * Blocks wherever storage does.
 */
export class StorageHelper {
  readonly #sys: Sys;
  readonly #socket: number;
  readonly #buffer = new Uint8Array(MESSAGE_LIMIT);
  readonly #inbox: Received[] = [];
  readonly #kept = new Map<number, Kept>();
  #stream: "open" | "ended" | "broken" = "open";
  #failed = false;

  /** @param socket its end of the pair with the daemon */
  constructor(sys: Sys, socket: number) {
    this.#sys = sys;
    this.#socket = socket;
  }

  /**
   * Serves until the daemon closes its end, or nothing can be received from it any more.
   *
   * @returns exit code
   */
  run(): number {
    while (!this.#failed) {
      if (this.#inbox.length === 0) this.#receive(true);
      const received = this.#inbox.shift();
      if (received === undefined) break;
      this.#handle(received);
    }
    for (const kept of this.#kept.values()) {
      if (this.#stream === "ended") this.#release(kept);
      // Of what was not received, something may have settled it.
      else this.#sys.close(kept.fd);
    }
    this.#kept.clear();
    return this.#failed ? 1 : 0;
  }

  /** Sends a message. If the daemon has gone, the end of the stream says so later. */
  send(message: FromHelper, descriptors: readonly number[] = []): void {
    this.#sys.sendMessage(this.#socket, encodeMessage(message), descriptors);
  }

  #receive(wait: boolean): void {
    while (this.#stream === "open") {
      const received = this.#sys.receiveMessage(this.#socket, this.#buffer, wait);
      // The daemon has gone with a message unread; what it sent before is still to come.
      if (received === -ECONNRESET) continue;
      if (received === -EAGAIN) return;
      if (typeof received === "number") {
        this.#stream = "broken";
        return;
      }
      if (received.length === 0) {
        this.#stream = "ended";
        return;
      }
      const { descriptors } = received;
      const message = this.#decoded(this.#buffer.subarray(0, received.length));
      if (message === undefined) {
        for (const fd of descriptors) this.#sys.close(fd);
        this.#stream = "broken";
        return;
      }
      this.#inbox.push({ message, descriptors });
      if (wait) return;
    }
  }

  /** A message; undefined when it is none: the daemon is of another version, and starts another helper. */
  #decoded(bytes: Uint8Array): ToHelper | undefined {
    try {
      return decodeToHelper(bytes);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      return undefined;
    }
  }

  #handle({ message, descriptors }: Received): void {
    switch (message.kind) {
      case "become":
        return this.#become(message);
      case "task":
        return this.#perform(message.id, message.task, descriptors);
      case "settled":
        return this.#settle(message.id);
      case "undo":
        return this.#undo(message.id);
      case "spawn":
        // The helpers that it starts are nobody's to wait for.
        this.#sys.ignoreSignals([SIGCHLD]);
        for (const socket of descriptors) {
          const started = spawnHelper(this.#sys, message.command, socket);
          if (typeof started !== "number") {
            this.#sys.sendMessage(
              socket,
              encodeMessage({ kind: "failed", reason: started.message }),
              [],
            );
          }
          this.#sys.close(socket);
        }
    }
  }

  #become({ version, ids: { uid, gid } }: Extract<ToHelper, { kind: "become" }>): void {
    const result = version === PROTOCOL_VERSION ? this.#sys.becomeUser(uid, gid) : 0;
    const trouble = version !== PROTOCOL_VERSION
      ? otherVersion(version)
      : result < 0
      ? `no process may become user ${uid} for it: ${strerror(-result)}`
      : undefined;
    if (trouble === undefined) return this.send({ kind: "ready", pid: this.#sys.pid() });
    this.#failed = true;
    this.send({ kind: "failed", reason: trouble });
  }

  #perform(id: number, task: StorageTask, descriptors: readonly number[]): void {
    switch (task.op) {
      case "lock":
        return this.#lock(id, task.request);
      case "unlock":
        return this.#unlock(id, task.request, descriptors);
      default:
        return runErrand(this.#sys, task, descriptors, (result) => this.#answer(id, result));
    }
  }

  #answer(id: number, result: StorageResult, descriptors: readonly number[] = []): void {
    this.send({ kind: "result", id, result }, descriptors);
  }

  #lock(id: number, request: StorageLockRequest): void {
    const { path, shared, autocreate, create = autocreate, followLinks } = request;
    const file = { path, shared, autocreate, create, followLinks };
    const outcome = lockFile(this.#sys, file, (fd) => void this.#sys.close(fd));
    if (outcome.kind !== "granted") return this.#answer(id, { kind: "refused", outcome });
    const { fd, identity } = outcome;
    this.#kept.set(id, { kind: "granted", fd, request });
    // Only a lock file that is made and removed with its lock is ever written to, never a disk.
    const recorded = autocreate && !followLinks ? settleRecord(this.#sys, fd, request.record) : 0;
    // While storage was slow the daemon may have given up, or ended: then the lock is not even handed out.
    this.#receive(false);
    const unwanted = this.#stream !== "open" ||
      this.#inbox.some(({ message }) => message.kind === "undo" && message.id === id);
    if (unwanted) return;
    const result: StorageResult = recorded < 0
      ? { kind: "granted", identity, recordErrno: -recorded }
      : { kind: "granted", identity };
    this.#answer(id, result, [fd]);
  }

  #unlock(id: number, request: Omit<UnlockRequest, "fd">, descriptors: readonly number[]): void {
    const [fd] = descriptors;
    if (fd === undefined) {
      const action = `Unable to receive the descriptor of resource ${request.path}`;
      return this.#answer(id, { kind: "released", failure: { action, errno: EMFILE, released: false } });
    }
    const autocreate = request.autocreate && mayName(this.#sys, request.path, this.#identity(fd));
    const failure = unlockFile(this.#sys, { ...request, autocreate, fd });
    this.#flush(fd);
    this.#kept.set(id, { kind: "released", fd });
    this.#answer(id, failure === undefined ? { kind: "released" } : { kind: "released", failure });
  }

  /** Of the file of a descriptor; undefined where its storage does not tell. */
  #identity(fd: number): FileIdentity | undefined {
    const status = emptyStatus();
    return this.#sys.fstat(fd, status) < 0 ? undefined : identityOf(status);
  }

  /**
   * Closing any copy of a descriptor flushes the file: after this the daemon's own close has nothing to wait
   * for.
   */
  #flush(fd: number): void {
    const copy = this.#sys.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0) this.#sys.close(copy);
  }

  #settle(id: number): void {
    const kept = this.#kept.get(id);
    this.#kept.delete(id);
    if (kept !== undefined) this.#sys.close(kept.fd);
  }

  #undo(id: number): void {
    const kept = this.#kept.get(id);
    if (kept?.kind !== "granted") return;
    this.#kept.delete(id);
    const failure = this.#release(kept);
    const { path } = kept.request;
    this.#answer(id, failure === undefined ? { kind: "undone", path } : { kind: "undone", path, failure });
  }

  #release(kept: Kept): UnlockFailure | undefined {
    let failure: UnlockFailure | undefined;
    if (kept.kind === "granted") {
      const { path, shared, autocreate } = kept.request;
      failure = unlockFile(this.#sys, { path, fd: kept.fd, lock: "ofd", shared, autocreate, force: true });
    }
    this.#sys.close(kept.fd);
    return failure;
  }
}
