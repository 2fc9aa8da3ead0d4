import type { Step } from "./steps.ts";
import { World } from "./world.ts";

/** Where one of these happens, locks wait for the last writes of their holders. */
const SETTLING: ReadonlySet<Step["op"]> = new Set<Step["op"]>(["write", "written", "free"]);

/** Where a sequence went wrong. */
export interface Difference {
  /** Index of the step after which daemon and model differ. */
  readonly step: number;
  readonly error: Error;
}

/** Lets steps happen to a new daemon and to the model. @returns undefined when they never differ */
export async function runSequence(steps: readonly Step[]): Promise<Difference | undefined> {
  await using world = await World.create(steps.some(({ op }) => SETTLING.has(op)));
  for (const [index, step] of steps.entries()) {
    try {
      await world.take(step);
    } catch (error) {
      return { step: index, error: error instanceof Error ? error : new Error(String(error)) };
    }
  }
  await world.compareCommand();
  return undefined;
}

/**
 * Leaves out what is not needed for a difference to show (delta debugging): half of the steps, then smaller
 * and smaller parts.
 *
 * @param milliseconds after which the best found is good enough
 */
export async function shrink(steps: readonly Step[], milliseconds: number): Promise<Step[]> {
  const end = performance.now() + milliseconds;
  let best = [...steps];
  for (let size = best.length >> 1; size >= 1;) {
    let shorter: Step[] | undefined;
    for (let at = 0; at < best.length && shorter === undefined; at += size) {
      if (performance.now() > end) return best;
      const candidate = [...best.slice(0, at), ...best.slice(at + size)];
      const difference = await runSequence(candidate);
      if (difference !== undefined) shorter = candidate.slice(0, difference.step + 1);
    }
    if (shorter === undefined) size >>= 1;
    else [best, size] = [shorter, Math.min(size, Math.max(1, shorter.length >> 1))];
  }
  return best;
}
