import { takeOut } from "../../base/lists.ts";
import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { storageError } from "../model/storage_error.ts";
import type { Caller, JobStatus } from "../model/storage_service.ts";
import type { Work } from "../work/workers.ts";
import type { Pool } from "./pool.ts";

/** Something that takes its time. */
export class Job {
  readonly id: number;
  readonly kind: string;
  readonly pool: Pool;
  readonly volume: string | undefined;
  readonly caller: Caller;
  /** Unix milliseconds. */
  readonly since: number;
  /** Whether it ends when its caller's connection does. */
  readonly bound: boolean;
  /** Set when it has begun. */
  work: Work | undefined;
  /** Called when it is cancelled: wakes a helper that waits for what the job's client does. */
  wake = () => {};
  #progress: readonly [number, number] | undefined;

  constructor(fields: Pick<Job, "id" | "kind" | "pool" | "volume" | "caller" | "since" | "bound">) {
    this.id = fields.id;
    this.kind = fields.kind;
    this.pool = fields.pool;
    this.volume = fields.volume;
    this.caller = fields.caller;
    this.since = fields.since;
    this.bound = fields.bound;
  }

  /** Bytes done, of all. */
  readonly progress = (done: number, total: number): void => {
    this.#progress = [done, total];
  };

  /** How far it is. */
  get status(): JobStatus {
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
      state: this.work?.running === true ? "running" : "waiting",
    };
  }

  /** In the words of a refusal. */
  get text(): string {
    return this.volume === undefined
      ? `${this.kind} (job ${this.id})`
      : `${this.kind} of volume '${this.volume}' (job ${this.id})`;
  }

  /** Ends it. @returns whether it has begun, and so can be */
  cancel(reason: RpcFailure): boolean {
    this.work?.cancel(reason);
    this.wake();
    return this.work !== undefined;
  }
}

/** The jobs that are under way or wait. */
export class JobList {
  readonly #jobs: Job[] = [];
  readonly #now: () => number;
  #nextId = 1;

  /** @param now Unix milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get all(): readonly JobStatus[] {
    return this.#jobs.map(({ status }) => status);
  }

  begin(fields: Pick<Job, "kind" | "pool" | "volume" | "caller"> & { readonly bound?: boolean }): Job {
    const job = new Job({ bound: false, ...fields, id: this.#nextId++, since: this.#now() });
    this.#jobs.push(job);
    return job;
  }

  end(job: Job): void {
    takeOut(this.#jobs, job);
  }

  /** @throws RpcFailure when a job is under way that needs the pool */
  refuseUnderJob(pool: Pool): void {
    const job = this.#jobs.find((each) => each.pool === pool);
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
