import { When } from "./killing_sys.ts";
import type { ServiceManager } from "./service_manager.ts";

/** Whether no step is left out: minutes instead of seconds. */
export const THOROUGH = Deno.env.get("VIRTLOCKD_TEST_THOROUGH") === "1";

/** Something that is killed again and again, each time at another of its steps. */
export interface Killed {
  /** What it needs, and is not killed in. */
  readonly before?: () => void | Promise<void>;
  /** What it is killed in. */
  readonly act: () => void | Promise<void>;
  /** Every so many steps, unless the run is thorough. */
  readonly stride: number;
  /** The first step of a sample. */
  readonly first?: number;
  /** Looks at what has come of it and puts everything back. */
  readonly after: () => void | Promise<void>;
}

/**
 * Does something again and again, with the daemon killed at another of its system calls each time, until it
 * is not killed any more.
 *
 * @param settled waits for what the daemon does after its last reply
 * @returns how often it was killed
 */
export async function killedAtEveryCall(
  manager: ServiceManager,
  { before, act, after, ...steps }: Killed,
  settled: () => void | Promise<void>,
): Promise<number> {
  let kills = 0;
  for (const when of [When.BEFORE, When.AFTER]) {
    kills += await atEachStep(steps, async (step) => {
      await before?.();
      const readies = manager.readies;
      manager.arm(step, when);
      await act();
      await settled();
      const { struck } = manager;
      manager.disarm();
      if (struck) await manager.ready(readies + 1);
      await after();
      return struck;
    });
  }
  return kills;
}

/**
 * Does something with each step in turn, until it tells that nothing was killed any more.
 *
 * @returns how often something was killed
 */
export async function atEachStep(
  { stride, first = 1 }: Pick<Killed, "stride" | "first">,
  run: (step: number) => Promise<boolean>,
): Promise<number> {
  let kills = 0;
  for (let step = THOROUGH ? 1 : first;; step += THOROUGH ? 1 : stride) {
    if (!await run(step)) {
      if (THOROUGH) console.log(`Killed ${kills} times`);
      return kills;
    }
    kills++;
  }
}
