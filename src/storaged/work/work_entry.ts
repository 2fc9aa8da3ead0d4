import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { WorkRequest } from "./work_request.ts";

/** A request without its types, as it waits and is done. */
export interface WorkEntry<Helper> {
  readonly id: number;
  readonly name: string;
  readonly args: unknown;
  readonly place: string;
  readonly jobOf: string | undefined;
  readonly descriptors: readonly number[];
  readonly limit: number | undefined;
  readonly silence: number | undefined;
  readonly hung: string;
  readonly progress: (done: number, total: number) => void;
  readonly batch: (bytes: Uint8Array) => void;
  /** Tells {@link over} first. */
  readonly done: (result: unknown) => void;
  readonly failed: (failure: RpcFailure) => void;
  readonly over: () => void;
  /** Why it was cancelled, if it was. */
  cancelled: RpcFailure | undefined;
  /** Undefined: it waits, or nothing more is done for it. */
  helper: Helper | undefined;
}

/** What is done for a request. @param id by which its helper means it */
export function workEntry<A, R, Helper>(id: number, request: WorkRequest<A, R>): WorkEntry<Helper> {
  const { operation, args, place, jobOf, descriptors = [], limit, silence, done, failed } = request;
  const { hung = "the storage does not answer" } = request;
  const { progress = () => {}, batch = () => {}, over = () => {} } = request;
  return {
    id,
    name: operation.name,
    args,
    place,
    jobOf,
    descriptors,
    limit,
    silence,
    hung,
    progress,
    batch,
    done: (result) => {
      over();
      done(result as R);
    },
    failed,
    over,
    cancelled: undefined,
    helper: undefined,
  };
}
