import { takeOut } from "../../base/lists.ts";
import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { storageError } from "../model/storage_error.ts";
import type { Caller, JobStatus } from "../model/storage_service.ts";
import type { Work } from "../work/work_request.ts";
import type { Pool } from "./pool.ts";

/** Something that takes its time. */
export class Job {
  readonly id: number;
  readonly kind: string;
  readonly pool: Pool;
  readonly volume: string | undefined;
  /** Another pool that it reads from. */
  readonly from: Pool | undefined;
  readonly caller: Caller;
  /** Unix milliseconds. */
  readonly since: number;
  /** Whether its call has had its answer although its process has not gone yet. */
  givenUp = false;
  /** Whether it ends when its caller's connection does. */
  readonly bound: boolean;
  /** Set when it has begun. */
  work: Work | undefined;
  /** Called when it is cancelled: wakes a helper that waits for what the job's client does. */
  wake = () => {};
  /** Whether it is its client that it waits for, so that its silence says nothing of the storage. */
  idle = () => false;
  #progress: readonly [number, number] | undefined;

  constructor(fields: Pick<Job, "id" | "kind" | "pool" | "volume" | "from" | "caller" | "since" | "bound">) {
    this.id = fields.id;
    this.kind = fields.kind;
    this.pool = fields.pool;
    this.volume = fields.volume;
    this.from = fields.from;
    this.caller = fields.caller;
    this.since = fields.since;
    this.bound = fields.bound;
  }

  /** Bytes done, of all. */
  readonly progress = (done: number, total: number): void => {
    this.#progress = [done, total];
  };

  /** How far it is. @param patience ms of silence after which its storage is taken to hang */
  status(patience: number): JobStatus {
    const { id, kind, volume, caller, since } = this;
    const [done, total] = this.#progress ?? [];
    return {
      id,
      kind,
      pool: this.pool.name,
      volume,
      caller,
      since,
      done: done === undefined ? undefined : BigInt(Math.round(done)),
      total: total === undefined ? undefined : BigInt(Math.round(total)),
      state: this.#state(patience),
      givenUp: this.givenUp,
    };
  }

  #state(patience: number): JobStatus["state"] {
    if (this.givenUp) return "hung";
    const silentFor = this.work?.silentFor;
    if (silentFor === undefined) return "waiting";
    return silentFor > patience && !this.idle() ? "hung" : "running";
  }

  /** In the words of a refusal. */
  get text(): string {
    return this.volume === undefined
      ? `${this.kind} (job ${this.id})`
      : `${this.kind} of volume '${this.volume}' (job ${this.id})`;
  }

  /** Ends it. @returns whether it has begun, and so can be; what was given up is being ended already */
  cancel(reason: RpcFailure): boolean {
    if (this.givenUp) return false;
    this.work?.cancel(reason);
    this.wake();
    return this.work !== undefined;
  }
}

/** The jobs that are under way or wait. */
export class JobList {
  readonly #jobs: Job[] = [];
  readonly #now: () => number;
  readonly #patience: () => number;
  #nextId = 1;

  /**
   * @param now Unix milliseconds
   * @param patience ms of silence after which a job's storage is taken to hang
   */
  constructor(now: () => number, patience: () => number) {
    this.#now = now;
    this.#patience = patience;
  }

  get all(): readonly JobStatus[] {
    return this.#jobs.map((job) => job.status(this.#patience()));
  }

  begin(
    fields: Pick<Job, "kind" | "pool" | "volume" | "caller"> & Partial<Pick<Job, "from" | "bound">>,
  ): Job {
    const job = new Job({ bound: false, from: undefined, ...fields, id: this.#nextId++, since: this.#now() });
    this.#jobs.push(job);
    return job;
  }

  end(job: Job): void {
    takeOut(this.#jobs, job);
  }

  /** @throws RpcFailure when a job is under way that needs the pool */
  refuseUnderJob(pool: Pool): void {
    // One that was given up is dead, and the storage to be pulled away is what holds up its burial.
    const job = this.#jobs.find((each) => (each.pool === pool || each.from === pool) && !each.givenUp);
    if (job === undefined) return;
    throw storageError("invalid", `storage pool '${pool.name}' is used by a job: ${job.text}`);
  }

  cancel(id: number): boolean {
    const job = this.#jobs.find((each) => each.id === id);
    return job?.cancel(storageError("aborted", `job ${id} was cancelled`)) ?? false;
  }

  /** The connection of a client has ended, and with it what only that has use for. */
  callerGone(client: string): void {
    for (const job of this.#jobs.filter(({ bound, caller }) => bound && caller.client === client)) {
      job.cancel(storageError("aborted", "the client has gone"));
    }
  }
}
