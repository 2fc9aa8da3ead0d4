import { VERSION } from "../../chassis/config/build_config.ts";
import type { DaemonObserver } from "./observers.ts";
import type { LostGuest } from "../cluster/reconcile/lost_guests.ts";
import type { EndedOwner } from "../lockspace/holder_reaper.ts";
import type { Refusal } from "../lockspace/refusal.ts";
import type { Calls } from "./calls.ts";
import { type MetricsSnapshot, readSnapshot } from "./metrics_snapshot.ts";

/**
 * Upper bounds of the request-time histogram's buckets, in milliseconds; one more bucket is for what takes
 * longer.
 */
export const BUCKET_BOUNDS: readonly number[] = [
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  25,
  100,
  500,
  2500,
  10000,
];

/** The counters without labels. */
export interface Counts {
  /** Locks granted and given up, each owner of a shared one counted. */
  granted: number;
  released: number;
  /** Releases that failed, and files left behind. */
  releaseFailures: number;
  /** Holders whose process this daemon ended. */
  holdersKilled: number;
  holderSignalFailures: number;
  /** Times that storage did not answer within the limit, and that a helper process failed. */
  storageHangs: number;
  storageHelperFailures: number;
  /** Locks of owners that are gone, given up without knowing whether their last writes have landed. */
  givenUp: number;
  /** Guests whose lock another host has got: what was done with them. */
  lostGuestsStopped: number;
  lostGuestsKilled: number;
  lostGuestsSpared: number;
  /** Hosts that a program has fenced, and tries to that have failed. */
  fences: number;
  fenceFailures: number;
  /** Earlier starts of this host that it has fenced itself. */
  rebootFences: number;
  /** How often the daemon executed itself anew. */
  reExecs: number;
  /** How often asking it to was in vain. */
  reExecFailures: number;
  /**
   * How often a daemon was started again after the last one had ended unasked, and after it had been
   * stopped.
   */
  crashes: number;
  restarts: number;
  /** Locks that were taken over in these, and that were lost. */
  recovered: number;
  lost: number;
}

/**
 * Counts what happens in the daemon since it was started, over every re-exec.
 *
 * Counting a request allocates nothing: it is on the way of each.
 */
export class Metrics implements Partial<DaemonObserver> {
  readonly counts: Counts = {
    granted: 0,
    released: 0,
    releaseFailures: 0,
    holdersKilled: 0,
    holderSignalFailures: 0,
    storageHangs: 0,
    storageHelperFailures: 0,
    givenUp: 0,
    lostGuestsStopped: 0,
    lostGuestsKilled: 0,
    lostGuestsSpared: 0,
    fences: 0,
    fenceFailures: 0,
    rebootFences: 0,
    reExecs: 0,
    reExecFailures: 0,
    crashes: 0,
    restarts: 0,
    recovered: 0,
    lost: 0,
  };
  /** Accepted connections by server. */
  readonly connections = new Map<string, number>();
  /** Refused locks by reason. */
  readonly refusals = new Map<Refusal["kind"], number>();
  readonly #calls = new Map<string, Map<string, Calls>>();
  #last: Calls | undefined;
  /** When this image began. */
  readonly #begun: number;
  #started: number;
  #counting: number;
  #stateBytes = 0;
  #previousVersion: string | undefined;
  #lastReExecFailure: string | undefined;

  /** @param started Unix milliseconds; {@link restore} brings an earlier one */
  constructor(started: number) {
    this.#begun = started;
    this.#started = started;
    this.#counting = started;
  }

  /** Unix milliseconds at which the process began to serve, before any re-exec. */
  get started(): number {
    return this.#started;
  }

  /** Unix milliseconds at which the counters began, perhaps in another process, which has crashed. */
  get counting(): number {
    return this.#counting;
  }

  /** Size of the state that went through the last re-exec, 0 before the first. */
  get stateBytes(): number {
    return this.#stateBytes;
  }

  /** Version of the program whose counters were taken over; undefined when none were. */
  get previousVersion(): string | undefined {
    return this.#previousVersion;
  }

  /** What was served, by procedure. */
  *calls(): Generator<Calls> {
    for (const procedures of this.#calls.values()) yield* procedures.values();
  }

  served(program: string, procedure: string, code: number, milliseconds: number): void {
    let calls = this.#last;
    if (calls === undefined || calls.procedure !== procedure || calls.program !== program) {
      calls = this.#callsOf(program, procedure);
      this.#last = calls;
    }
    if (code === 0) calls.succeeded++;
    else increase(calls.failed, code);
    let bucket = 0;
    while (bucket < BUCKET_BOUNDS.length && milliseconds > (BUCKET_BOUNDS[bucket] as number)) bucket++;
    calls.buckets[bucket] = (calls.buckets[bucket] as number) + 1;
    calls.total += milliseconds;
  }

  connected({ name }: { name: string }): void {
    increase(this.connections, name);
  }

  granted(): void {
    this.counts.granted++;
  }

  released(): void {
    this.counts.released++;
  }

  refused(_owner: unknown, { kind }: Refusal): void {
    increase(this.refusals, kind);
  }

  troubled(): void {
    this.counts.releaseFailures++;
  }

  gone(_owner: EndedOwner, _owned: unknown, signalled: boolean): void {
    if (signalled) this.counts.holdersKilled++;
  }

  gaveUp(): void {
    this.counts.givenUp++;
  }

  signalFailed(): void {
    this.counts.holderSignalFailures++;
  }

  lostGuest({ kind }: LostGuest): void {
    switch (kind) {
      case "stopped":
        this.counts.lostGuestsStopped++;
        break;
      case "killed":
        this.counts.lostGuestsKilled++;
        break;
      case "spared":
        this.counts.lostGuestsSpared++;
    }
  }

  fencingDone(): void {
    this.counts.fences++;
  }

  fencingFailed(): void {
    this.counts.fenceFailures++;
  }

  earlierStartFenced(): void {
    this.counts.rebootFences++;
  }

  storageHung(): void {
    this.counts.storageHangs++;
  }

  storageHelperEnded(): void {
    this.counts.storageHelperFailures++;
  }

  /** This image took over from an earlier one. @param stateBytes size of the state it was given */
  reExecuted(stateBytes: number): void {
    this.counts.reExecs++;
    this.#stateBytes = stateBytes;
  }

  /** The new program was not executed, and everything went on. */
  reExecFailed(reason: string): void {
    this.counts.reExecFailures++;
    this.#lastReExecFailure = reason;
  }

  /** Why the last re-exec of this image was given up; undefined when none was. */
  get lastReExecFailure(): string | undefined {
    return this.#lastReExecFailure;
  }

  /** This process began. @param kind what was there before; `recovered` and `lost` are numbers of locks */
  begun(
    kind: "none" | "image" | "stopped" | "libvirt" | "crash" | "restart",
    recovered: number,
    lost: number,
  ): void {
    if (kind !== "crash" && kind !== "restart") return;
    this.#started = this.#begun;
    if (kind === "crash") this.counts.crashes++;
    else this.counts.restarts++;
    this.counts.recovered += recovered;
    this.counts.lost += lost;
  }

  /** Everything counted so far, as JSON can carry it, for the next image. */
  snapshot(): MetricsSnapshot {
    return {
      version: VERSION,
      started: this.#started,
      counting: this.#counting,
      stateBytes: this.#stateBytes,
      bounds: BUCKET_BOUNDS,
      counts: { ...this.counts },
      connections: Object.fromEntries(this.connections),
      refusals: Object.fromEntries(this.refusals),
      calls: [...this.calls()].map((calls) => ({ ...calls, failed: Object.fromEntries(calls.failed) })),
    };
  }

  /**
   * Goes on counting from a snapshot. Before anything is counted.
   *
   * @param snapshot what {@link snapshot} of an earlier image gave; whatever is not as expected starts from
   * zero
   */
  restore(snapshot: unknown): void {
    const read = readSnapshot(snapshot, BUCKET_BOUNDS);
    this.#started = read.started ?? this.#started;
    // An older program had one time for both.
    this.#counting = read.counting ?? this.#started;
    this.#stateBytes = read.stateBytes ?? 0;
    this.#previousVersion = read.version;
    for (const name of Object.keys(this.counts) as (keyof Counts)[]) {
      this.counts[name] = read.counts.get(name) ?? 0;
    }
    for (const [server, count] of read.connections) this.connections.set(server, count);
    // A reason that a newer program knows is shown all the same.
    for (const [reason, count] of read.refusals) this.refusals.set(reason as Refusal["kind"], count);
    for (const calls of read.calls) Object.assign(this.#callsOf(calls.program, calls.procedure), calls);
  }

  #callsOf(program: string, procedure: string): Calls {
    let procedures = this.#calls.get(program);
    if (procedures === undefined) this.#calls.set(program, procedures = new Map());
    let calls = procedures.get(procedure);
    if (calls === undefined) {
      const buckets = new Array<number>(BUCKET_BOUNDS.length + 1).fill(0);
      calls = { program, procedure, succeeded: 0, failed: new Map(), buckets, total: 0 };
      procedures.set(procedure, calls);
    }
    return calls;
  }
}

function increase<K>(counters: Map<K, number>, key: K): void {
  counters.set(key, (counters.get(key) ?? 0) + 1);
}
