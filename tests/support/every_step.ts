import { When } from "./killing_sys.ts";
import { THOROUGH } from "./thorough.ts";
import type { ServiceManager } from "./service_manager.ts";

/** Something that is killed again and again, each time at another of its steps. */
export interface Killed {
  /** What it needs, and is not killed in. */
  readonly before?: () => void | Promise<void>;
  /** What it is killed in. */
  readonly act: () => void | Promise<void>;
  /**
   * Which steps, unless the run is thorough: every so many from the first one on; or so many, evenly over
   * those that it takes when it is not killed, where that differs from time to time.
   */
  readonly steps: { readonly stride: number } | { readonly samples: number };
  /** Looks at what has come of it and puts everything back. */
  readonly after: () => void | Promise<void>;
}

/**
 * Does something again and again, with the daemon killed at another of its system calls each time, until it
 * is not killed any more.
 *
 * @param settled waits for what the daemon does after its last reply
 * @returns how often it was killed: before a call, and after one
 */
export async function killedAtEveryCall(
  manager: ServiceManager,
  { before, act, after, steps }: Killed,
  settled: () => void | Promise<void>,
): Promise<readonly [number, number]> {
  const run = async (step: number, when: number) => {
    await before?.();
    const readies = manager.readies;
    manager.arm(step, when);
    await act();
    await settled();
    const { struck } = manager;
    const made = manager.disarm();
    if (struck) await manager.ready(readies + 1);
    await after();
    return { struck, made };
  };
  if (THOROUGH || "stride" in steps) {
    const stride = "stride" in steps ? steps.stride : 1;
    const each = (when: number) => atEachStep(stride, async (step) => (await run(step, when)).struck);
    return [await each(When.BEFORE), await each(When.AFTER)];
  }
  const { made } = await run(NEVER, When.BEFORE);
  const each = async (when: number) => {
    let kills = 0;
    for (let sample = 0; sample < steps.samples; sample++) {
      const step = 1 + Math.floor(made * (sample + 0.5) / (steps.samples + 0.5));
      if ((await run(step, when)).struck) kills++;
    }
    return kills;
  };
  return [await each(When.BEFORE), await each(When.AFTER)];
}

/** More calls than anything makes. */
const NEVER = 0x7fffffff;

/**
 * Does something with each step in turn, until it tells that nothing was killed any more.
 *
 * @param stride every so many steps, unless the run is thorough
 * @returns how often something was killed
 */
export async function atEachStep(stride: number, run: (step: number) => Promise<boolean>): Promise<number> {
  let kills = 0;
  for (let step = 1;; step += THOROUGH ? 1 : stride) {
    if (!await run(step)) {
      if (THOROUGH) console.log(`Killed ${kills} times`);
      return kills;
    }
    kills++;
  }
}
