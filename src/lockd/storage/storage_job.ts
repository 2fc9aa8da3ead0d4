import type { Timer } from "../../chassis/event/event_loop.ts";
import type { StorageResult, StorageTask } from "./helper_protocol.ts";

/** What is asked of a helper. Exactly one of `answered` and `lost` is called, once. */
export interface StorageAsk {
  readonly task: StorageTask;
  /** The operation in words, as a failure begins. */
  readonly action: string;
  /** Time limit in ms; the client's own when it is not given. */
  readonly limit?: number;
  /** Goes along with the task; stays the asker's. */
  readonly descriptor?: number;
  /** @param descriptor the asker's from now on */
  answered(result: StorageResult, descriptor: number | undefined): void;
  /** There will be no answer. */
  lost(reason: string): void;
  /**
   * When given, the ask is not lost at the time limit: this is called, and it goes on until it is answered.
   */
  slow?(reason: string): void;
}

/** An ask on its way. */
export interface StorageJob {
  readonly id: number;
  readonly ask: StorageAsk;
  phase: StoragePhase;
  /** How long its asker waits, in ms. */
  readonly limit: number;
  /** Ends the waiting; undefined when the limit has passed. */
  timer: Timer | undefined;
  /** Whether an earlier helper ended while it had this job. */
  repeated: boolean;
}

/** Where a job is in its life. */
export type StoragePhase =
  | { readonly kind: "waiting" }
  /** The helper has it. `since`: Unix milliseconds. */
  | { readonly kind: "running"; readonly since: number }
  /** The helper still has it, but its asker has been told of the time limit. */
  | { readonly kind: "late"; readonly since: number };

/** What an operation did after all, for the log; undefined while there is more to come. */
export function lateOutcome({ action, task }: StorageAsk, result: StorageResult): string | undefined {
  switch (result.kind) {
    case "granted":
      return undefined;
    case "undone":
      return undoneOutcome(result);
    case "done":
      return `${action}: it was ${result.failure === undefined ? "done" : "refused"} in the end`;
    case "checked":
    case "refused":
    case "released":
    case "holder":
    case "judged":
    case "denied":
    case "owner":
    case "ran":
      return `${action}: it came to its end (${task.op})`;
  }
}

/** What became of a lock that nobody took. */
export function undoneOutcome({ path, failure }: Extract<StorageResult, { kind: "undone" }>): string {
  const file = failure === undefined ? "" : `, but not all of it: ${failure.action}`;
  return `The lock on resource ${path} was released again, because nobody waited for it any more${file}`;
}
