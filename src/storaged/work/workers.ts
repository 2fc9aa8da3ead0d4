import { invariant } from "../../base/invariant.ts";
import { takeOut } from "../../base/lists.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { SystemError } from "../../os/system_error.ts";
import { storageError } from "../model/storage_error.ts";
import { HELPER_BUFFER, type HelperParts, HelperProcess } from "./helper_process.ts";
import { HelperPace } from "./helper_pace.ts";
import { storageActivity } from "./program_activity.ts";
import { type Lateness, latenessText, Patience } from "./patience.ts";
import { type WorkEntry, workEntry } from "./work_entry.ts";
import type { PlaceState, Work, WorkRequest } from "./work_request.ts";
import { failureOf, type FromHelper, helperEnded } from "./work_message.ts";

/** Of all helpers as many may be with jobs, which take as long as they do: the others answer questions. */
const MOST_JOBS = 24;
/** And so many with jobs of one pool, whose storage may hang. */
const MOST_JOBS_OF_POOL = 16;
/** Milliseconds in which a helper has to come up. */
const COME_UP_MS = 30_000;

/** A request, with the helper that does it. */
type Entry = WorkEntry<Helper>;

/** A helper with what it does. */
interface Helper {
  process: HelperProcess;
  entry: Entry | undefined;
  /** Place of the operation that it was given up with, until it is gone. */
  hungAt: string | undefined;
  /** Tells of that operation that it is over. */
  over: (() => void) | undefined;
  /** Whether it has come up. */
  ready: boolean;
  readonly patience: Patience;
}

/**
 * Does operations in helper processes, so that storage that hangs holds up only who uses it. Helpers are
 * started when they are needed, shared by all places, and let go when they have been idle for a minute.
 */
export class Workers {
  readonly #parts: HelperParts & { readonly log: Log };
  readonly #loop: EventLoop;
  readonly #helpers: Helper[] = [];
  readonly #waiting: Entry[] = [];
  readonly #buffer = new Uint8Array(HELPER_BUFFER);
  #nextId = 1;
  #closed = false;
  readonly #pace: HelperPace;

  constructor(parts: HelperParts & { readonly log: Log }) {
    this.#parts = parts;
    this.#loop = parts.loop;
    this.#pace = new HelperPace(parts.loop, () => this.#schedule());
  }

  /** Helper processes there are. */
  get size(): number {
    return this.#helpers.length;
  }

  /** Whether a place answers. */
  stateOf(place: string): PlaceState {
    if (this.#helpers.some((helper) => helper.hungAt === place)) return "hung";
    return this.#helpers.some(({ entry }) => entry?.place === place) ? "busy" : "idle";
  }

  /** Does an operation, as soon as its place is free. */
  run<A, R>(request: WorkRequest<A, R>): Work {
    invariant(!this.#closed, "The helpers have been let go");
    const entry = workEntry<A, R, Helper>(this.#nextId++, request);
    this.#waiting.push(entry);
    this.#loop.defer(() => this.#schedule());
    return {
      get running() {
        return entry.helper !== undefined;
      },
      get silentFor() {
        return entry.helper?.patience.silentFor;
      },
      giveUp: (waited) => {
        if (entry.helper !== undefined) this.#late(entry.helper, { kind: "silent", limit: waited });
      },
      cancel: (reason) => this.#cancel(entry, reason),
    };
  }

  /** Lets all helpers go; what is under way is cancelled and undone there. */
  close(): void {
    this.#closed = true;
    this.#pace.close();
    for (const { process, patience } of this.#helpers) {
      patience.end();
      process.close();
    }
    for (const entry of this.#waiting.splice(0)) this.#closeDescriptors(entry);
  }

  #cancel(entry: Entry, reason: RpcFailure): void {
    if (entry.cancelled !== undefined) return;
    entry.cancelled = reason;
    const { helper } = entry;
    if (helper !== undefined) {
      helper.process.send({ kind: "cancel", id: entry.id });
      helper.patience.cancelled();
      return;
    }
    if (!this.#waiting.includes(entry)) return;
    takeOut(this.#waiting, entry);
    this.#closeDescriptors(entry);
    this.#loop.defer(() => this.#fail(entry, reason));
  }

  /** Nothing more is done for it. */
  #fail(entry: Entry, failure: RpcFailure): void {
    entry.over();
    entry.failed(failure);
  }

  #closeDescriptors({ descriptors }: Entry): void {
    for (const fd of descriptors) this.#parts.sys.close(fd);
  }

  /** Gives waiting operations to helpers, oldest first. */
  #schedule(): void {
    if (this.#closed) return;
    for (const entry of [...this.#waiting]) {
      const state = this.stateOf(entry.place);
      if (state === "busy") continue;
      if (state === "hung") {
        this.#refuse(entry, hungFailure(entry));
        continue;
      }
      if (!this.#mayBegin(entry)) continue;
      const helper = this.#helpers.find((each) => each.entry === undefined && each.hungAt === undefined);
      if (helper !== undefined) this.#begin(helper, entry);
      else if (this.#pace.mayStart(this.#helpers)) this.#startFor(entry);
    }
  }

  /** Whether an operation leaves enough helpers to others. */
  #mayBegin({ jobOf }: Entry): boolean {
    if (jobOf === undefined) return true;
    const jobs = this.#helpers.flatMap(({ entry }) => entry?.jobOf ?? []);
    return jobs.length < MOST_JOBS && jobs.filter((pool) => pool === jobOf).length < MOST_JOBS_OF_POOL;
  }

  #refuse(entry: Entry, failure: RpcFailure): void {
    takeOut(this.#waiting, entry);
    this.#closeDescriptors(entry);
    this.#fail(entry, failure);
  }

  #startFor(entry: Entry): void {
    try {
      this.#begin(this.#start(), entry);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#parts.log.error(`No storage helper could be started: ${error.message}`);
      this.#refuse(entry, storageError("failed", `no storage helper could be started: ${error.reason}`));
    }
  }

  #start(): Helper {
    const helper: Helper = {
      process: new HelperProcess(this.#parts, {
        received: (message) => this.#received(helper, message),
        batch: (bytes) => this.#batch(helper, bytes),
        ended: () => this.#ended(helper),
      }, this.#buffer),
      entry: undefined,
      hungAt: undefined,
      over: undefined,
      ready: false,
      patience: new Patience(this.#parts, {
        late: (lateness) => this.#late(helper, lateness),
        idle: () => {
          takeOut(this.#helpers, helper);
          helper.process.close();
        },
        activity: () => storageActivity(this.#parts.sys, helper.process.pid),
      }),
    };
    this.#helpers.push(helper);
    return helper;
  }

  #begin(helper: Helper, entry: Entry): void {
    takeOut(this.#waiting, entry);
    helper.entry = entry;
    entry.helper = helper;
    // One that has yet to come up says nothing of the storage, however busy the host is.
    helper.patience.begin(helper.ready ? entry : { limit: COME_UP_MS, silence: undefined });
    const { id, name: operation, args, descriptors } = entry;
    helper.process.send({ kind: "run", id, operation, args }, descriptors);
  }

  /** It has come up: what that took is none of its operation's time. */
  #cameUp(helper: Helper): void {
    helper.ready = true;
    if (helper.entry !== undefined) helper.patience.begin(helper.entry);
  }

  #batch(helper: Helper, bytes: Uint8Array): void {
    const { entry } = helper;
    if (entry === undefined) return;
    helper.patience.heard();
    entry.batch(bytes);
  }

  #received(helper: Helper, message: FromHelper): void {
    if (message.kind === "ready") return this.#cameUp(helper);
    const { entry } = helper;
    if (entry === undefined || message.id !== entry.id) return;
    if (message.kind === "alive") return helper.patience.heard();
    if (message.kind === "progress") {
      helper.patience.heard();
      return entry.progress(message.done, message.total);
    }
    this.#free(helper);
    switch (message.kind) {
      case "done":
        return entry.done(message.result);
      case "refused":
        return this.#fail(entry, failureOf(message.failure));
      case "cancelled":
        return this.#fail(entry, entry.cancelled ?? helperEnded());
      case "crashed":
        this.#parts.log.error(
          `${entry.name} failed unexpectedly, which is a fault of this program: ${message.trace}`,
        );
        return this.#fail(
          entry,
          storageError("failed", `${entry.name} failed unexpectedly; see the daemon's log`),
        );
    }
  }

  /** It can take the next operation. */
  #free(helper: Helper): void {
    const { entry } = helper;
    if (entry !== undefined) entry.helper = undefined;
    helper.entry = undefined;
    helper.patience.rest();
    this.#loop.defer(() => this.#schedule());
  }

  /** The operation takes too long: whoever waits is told so, and nobody else has to wait at this place. */
  #late(helper: Helper, lateness: Lateness): void {
    const { entry } = helper;
    if (entry === undefined) return;
    helper.patience.end();
    helper.entry = undefined;
    helper.hungAt = entry.place;
    helper.over = entry.over;
    entry.helper = undefined;
    helper.process.kill();
    this.#parts.log.error(`${entry.name} at ${entry.place} ${latenessText(lateness)}`);
    entry.failed(entry.cancelled ?? hungFailure(entry));
    this.#loop.defer(() => this.#schedule());
  }

  #ended(helper: Helper): void {
    helper.patience.end();
    if (this.#helpers.includes(helper)) takeOut(this.#helpers, helper);
    helper.over?.();
    const { entry } = helper;
    helper.entry = undefined;
    if (entry !== undefined) {
      entry.helper = undefined;
      this.#fail(entry, entry.cancelled ?? helperEnded());
    }
    this.#loop.defer(() => this.#schedule());
  }
}

function hungFailure({ hung }: Entry): RpcFailure {
  return storageError("timed-out", hung);
}
