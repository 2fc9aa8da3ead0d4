import type { Sys } from "../../os/sys.ts";
import type { ProgramEnd, ProgramRequest } from "./program_run.ts";

/** What an operation may use in the helper process that runs it. */
export interface WorkContext {
  readonly sys: Sys;
  /** What came along with the request; they belong to the helper, which closes them behind the operation. */
  readonly descriptors: readonly number[];
  /** Tells the daemon how far it is, in a unit of the operation's own (bytes for those that copy). */
  progress(done: number, total: number): void;
  /** Tells the daemon that it goes on, at most five times a second. */
  alive(): void;
  /**
   * Sends a part of what the operation is to bring ahead of its result, in bytes that only it knows.
   *
   * @param bytes at most 65,535; not kept
   */
  batch(bytes: Uint8Array): void;
  /**
   * To be called between two pieces of something long.
   *
   * @throws WorkCancelled when nobody wants the result any more: what was begun is to be undone
   */
  checkpoint(): void;
  /**
   * Runs a program to its end. Its standard input is empty.
   *
   * @throws WorkCancelled as {@link checkpoint}; the program has been killed then
   */
  run(request: ProgramRequest): ProgramEnd;
}

/**
 * Something that touches storage, and so may hang: it is done in a helper process. Arguments and result are
 * what JSON can carry, and bigints.
 *
 * `run` throws RpcFailure for what the client is to be told, and WorkCancelled.
 */
export interface Operation<A, R> {
  /** Unique among all operations of the daemon. */
  readonly name: string;
  run(args: A, context: WorkContext): R;
}

/** Nobody wants the result any more. */
export class WorkCancelled extends Error {
  override readonly name = "WorkCancelled";

  constructor() {
    super("The operation was cancelled");
  }
}
