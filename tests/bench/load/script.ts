import { acquireFrame, lockspaceFrame, NumberedFrame, registerFrame, releaseFrame } from "./frames.ts";
import type { LoadTask, Target } from "./task.ts";

/** What one client does in one operation. */
export interface Script {
  /** Whether the operation begins with a connection of its own and ends by closing it. */
  readonly connects: boolean;
  /** How many requests it makes. */
  readonly length: number;
  /** Request number `step`, valid until the next call. */
  frame(step: number): Uint8Array;
}

/** Names of guest starts, unique in one batch, so that their locks can be given back between batches. */
export class StartNames {
  #next = 0;

  take(): number {
    return this.#next++;
  }

  /** How many were taken since the last reset. */
  reset(): number {
    const taken = this.#next;
    this.#next = 0;
    return taken;
  }
}

/** Owner of every lock that guest starts take: one, so that one client can give all of them back. */
export const START_OWNER = 1_000_000;

/** The script of client number `index`. */
export function makeScript(
  task: Pick<LoadTask, "operation">,
  target: Target,
  index: number,
  names: StartNames,
): Script {
  const { lockspace } = target;
  if (task.operation === "start") {
    const register = registerFrame(START_OWNER);
    const acquire = new NumberedFrame(acquireFrame, lockspace);
    return {
      connects: true,
      length: 2,
      frame: (step) => step === 0 ? register : acquire.at(names.take()),
    };
  }
  const name = `disk-${index}`;
  const frames = task.operation === "pair"
    ? [acquireFrame(lockspace, name), releaseFrame(lockspace, name)]
    : [lockspaceFrame(task.operation === "noop" ? "" : lockspace)];
  return { connects: false, length: frames.length, frame: (step) => frames[step] as Uint8Array };
}
