import { takeOut } from "../../base/lists.ts";
import type { Timer } from "../../chassis/event/event_loop.ts";
import { SystemError } from "../../os/system_error.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { CloseFile } from "../lockspace/lock_file.ts";
import { HelperLink, type LinkParts, type LinkUser } from "./helper_link.ts";
import type { FromHelper, StorageResult } from "./helper_protocol.ts";
import type { HelperStarter } from "./helper_starter.ts";
import type { Mount, UserIds } from "./mount_tree.ts";
import { lateOutcome, type StorageAsk, type StorageJob, undoneOutcome } from "./storage_job.ts";
import type { StorageObserver } from "./storage_observer.ts";

/** A helper without work ends after this time, in ms. */
export const IDLE_MS = 60_000;
/** For a queue whose helper is another user: starts it. */
export interface DeputyStart {
  readonly ids: UserIds;
  /** @throws SystemError when it cannot be started */
  start(user: LinkUser): HelperLink;
}

/** What a queue needs of the daemon. */
export interface StorageQueueParts extends LinkParts {
  readonly starter: Pick<HelperStarter, "start" | "pin">;
  /** Closes the daemon's descriptor of a lock file. */
  readonly closeFile: CloseFile;
  /** How long an asker waits, in ms. */
  readonly timeLimit: () => number;
  readonly observer: StorageObserver;
  /** Monotonic milliseconds. */
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
 * What is asked of one place whose storage may hang, done one after the other by a helper process.
 *
 * The helper starts with the first ask. Who asks gets an answer within the time limit, whatever the storage
 * does. A helper that hangs is left alone: it cannot be killed, and another one would hang too.
 */
export class StorageQueue {
  readonly #parts: StorageQueueParts;
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
  constructor(parts: StorageQueueParts, mount: Mount | undefined, deputy?: DeputyStart) {
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

  /** Asks for something. */
  submit(ask: StorageAsk): void {
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

  /** Lets the helper go, without waiting for anything: what it was doing it undoes or completes. */
  close(): void {
    this.#idle?.cancel();
    for (const job of [this.#current, ...this.#queue]) job?.timer?.cancel();
    this.#dropLink()?.close();
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
    return HelperLink.started(this.#parts, user, (far) => this.#parts.starter.start(far));
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
