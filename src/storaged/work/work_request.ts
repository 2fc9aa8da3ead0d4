import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { Operation } from "./operation.ts";

/** How a place answers. */
export type PlaceState = "idle" | "busy" | "hung";

/** An operation that is to be done. */
export interface WorkRequest<A, R> {
  readonly operation: Operation<A, R>;
  readonly args: A;
  /** What may hang as one: a mount, or a name of its own. Operations of one place are done one by one. */
  readonly place: string;
  /** Pool whose job it is; undefined: it is a question, which a job must not keep waiting. */
  readonly jobOf?: string;
  /** Copies go along; these are closed once they are sent, or cannot be. */
  readonly descriptors?: readonly number[];
  /** Milliseconds from its beginning after which it is given up; undefined: it takes as long as it does. */
  readonly limit?: number;
  /** Milliseconds without progress that it, or the kernel, tells of; undefined: it is never given up. */
  readonly silence?: number;
  /** What is said when it is given up, or its place is known to hang; undefined: nothing in particular. */
  readonly hung?: string;
  readonly progress?: (done: number, total: number) => void;
  /** Gets the parts that the operation sends ahead of its result; the bytes may be kept. */
  readonly batch?: (bytes: Uint8Array) => void;
  /** Called once, unless {@link failed} is. Never before it was handed over. */
  readonly done: (result: R) => void;
  readonly failed: (failure: RpcFailure) => void;
  /**
   * Called once, when nothing is done any more: right before `done` or `failed`, or behind it when the
   * operation was given up, for what the kernel was asked for may still happen then.
   */
  readonly over?: () => void;
}

/** An operation under way. */
export interface Work {
  /** Whether it is being done, and not in a queue. */
  readonly running: boolean;
  /** Milliseconds since it began, or since it was heard of last; undefined: it is in a queue. */
  readonly silentFor: number | undefined;
  /**
   * Ends it: `failed` is called with this reason once it has been undone. Harmless when it has ended.
   */
  cancel(reason: RpcFailure): void;
  /**
   * Its storage does not answer, as somebody knows who waits for it: it is ended at once, and `failed` is
   * called. Harmless when it has ended, or is in a queue.
   *
   * @param waited milliseconds, for the log
   */
  giveUp(waited: number): void;
}
