import { takeOut } from "../../base/lists.ts";
import { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { isTimeout, storageError } from "../model/storage_error.ts";
import type { Answer } from "../model/storage_service.ts";
import type { AtPlace, Place } from "../volumes/place.ts";
import type { Operation } from "../work/operation.ts";
import { failureOf } from "../work/work_message.ts";
import type { Core } from "./core.ts";
import type { Job } from "./job_list.ts";
import { attempting, refused } from "./outcome.ts";
import type { Pool } from "./pool.ts";

// How calls get to a pool, and what they have done there.

/**
 * Goes on with a pool as soon as it is known whether it is up. Guests are started as soon as the host is: to
 * them a pool that is being started must not look like one that is not there. Others do not wait for it.
 *
 * @param find throws RpcFailure when there is no such pool
 */
export function whenSettled<Value>(
  core: Core,
  find: () => Pool,
  answer: Answer<Value>,
  go: (pool: Pool) => void,
): void {
  attempting(answer, () => {
    const pool = find();
    if (pool.state.kind !== "changing") return go(pool);
    const again = () => {
      timer.cancel();
      whenSettled(core, find, answer, go);
    };
    const timer = core.parts.loop.after(core.parts.settings().answerLimit, () => {
      takeOut(pool.waiting, again);
      refused(answer, storageError("timed-out", `storage pool '${pool.name}' is still starting up`));
    });
    pool.waiting.push(again);
  });
}

/** As {@link whenSettled}, with a pool that is up. */
export function whenActive<Value>(
  core: Core,
  find: () => Pool,
  answer: Answer<Value>,
  go: (pool: Pool) => void,
): void {
  whenSettled(core, find, answer, (pool) =>
    attempting(answer, () => {
      if (pool.state.kind === "active") return go(pool);
      throw storageError("invalid", `storage pool '${pool.name}' is not active`);
    }));
}

/** How an operation is done. */
export interface WorkOptions {
  /** Whose storage it is; undefined: no pool's that is known. */
  readonly pool?: Pool;
  /** What may hang as one. */
  readonly place: string;
  /** Milliseconds after which it is given up. */
  readonly limit?: number;
  /** Milliseconds without a sign of life after which it is given up. */
  readonly silence?: number;
  readonly job?: Job;
  /** Go along; closed when they are sent. */
  readonly descriptors?: readonly number[];
  /** Gets the parts that the operation sends ahead of its result; the bytes may be kept. */
  readonly batch?: (bytes: Uint8Array) => void;
  /** Called once when nothing is done any more: see `over` of what the workers take. */
  readonly over?: () => void;
  /** Called behind {@link over} of a job that was given up. */
  readonly late?: () => void;
  /** Told of each sign of life with which it says how far it is. */
  readonly heard?: () => void;
}

/**
 * What reads every volume may take longer, but not without a sign of life: storage that does not answer is
 * known as soon as for a question.
 *
 * @param what "start" also of what stops or removes a pool: it is one thing after the other
 */
export function listOptions(core: Core, pool: Pool, what: "start" | "list"): WorkOptions {
  const { startLimit, answerLimit } = core.parts.settings();
  return { pool, place: `${what} of ${pool.name}`, limit: startLimit, silence: answerLimit };
}

/** Questions of one pool are answered one by one. */
export function askOptions(core: Core, pool: Pool): WorkOptions {
  return { pool, place: `pool ${pool.name}`, limit: core.parts.settings().answerLimit };
}

/** Runs an operation, with one callback for each end. */
export function run<A, R>(
  core: Core,
  operation: Operation<A, R>,
  args: A,
  { pool, job, heard = () => {}, over = () => {}, late = () => {}, ...options }: WorkOptions,
  done: (result: R) => void,
  failed: (failure: RpcFailure) => void,
): void {
  let gone = false;
  const work = core.parts.workers.run({
    operation,
    args,
    ...options,
    ...job === undefined ? {} : { jobOf: job.pool.name },
    ...pool === undefined ? {} : { hung: hungText(pool, job) },
    over: () => {
      gone = true;
      over();
      if (job === undefined) return;
      core.jobs.end(job);
      if (job.givenUp) late();
    },
    progress: (done, total) => {
      job?.progress(done, total);
      heard();
    },
    done: (result) => {
      if (pool !== undefined) pool.answers = true;
      done(result);
    },
    failed: (failure) => {
      if (job !== undefined) job.givenUp = !gone;
      // Of two pools it is not known which of them does not answer.
      if (pool !== undefined && job?.from === undefined && isTimeout(failure)) pool.answers = false;
      failed(failure);
    },
  });
  if (job !== undefined) job.work = work;
}

/** Which storage does not answer, what that holds up, and what to do. */
function hungText(pool: Pool, job: Job | undefined): string {
  const pools = job?.from === undefined ? [pool] : [pool, job.from];
  const names = pools.map(({ name, definition: { target: { path } } }) => `pool '${name}' (${path})`);
  const storage = `the storage of ${names.join(" or ")} does not answer`;
  return job === undefined
    ? `${storage}: see to it, then try again`
    : `${storage}, and ${job.text} is given up: see to it, then try again`;
}

/** Runs an operation in a pool's directory. If that is not its storage any more, the pool is not up. */
export function runInPlace<A extends { readonly place: Place }, R>(
  core: Core,
  pool: Pool,
  operation: Operation<A, AtPlace<R>>,
  args: Omit<A, "place">,
  options: WorkOptions,
  done: (result: R) => void,
  failed: (failure: RpcFailure) => void,
): void {
  const { place } = pool;
  const ended = pool.begin();
  run(core, operation, { ...args, place } as A, options, (result) => {
    ended();
    if (result.kind === "done") return done(result.value);
    const failure = failureOf(result.failure);
    storageGone(core, pool, place, failure);
    failed(failure);
  }, (failure) => {
    ended();
    failed(failure);
  });
}

/** The storage that a pool was asked in is not there any more; it may have been started anew since. */
function storageGone(core: Core, pool: Pool, { identity }: Place, failure: RpcFailure): void {
  if (pool.state.kind !== "active" || pool.state.identity !== identity) return;
  core.parts.log.error(`Storage pool '${pool.name}' is not active any more: ${failure.message}`);
  core.stopped(pool);
  core.tell(pool, "STOPPED");
}
