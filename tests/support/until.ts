/**
 * How long a test waits for something that has to come, in ms. It says that a test will not end, and nothing
 * about speed: on a busy machine single processes have stood still for many seconds, and a daemon has taken
 * more than a minute to start.
 */
export const PATIENCE_MS = 180_000;

/** Pause between two looks at a condition that nothing announces, in ms. */
const LOOK_EVERY = 5;
/** A look that starts a process takes the CPU from what it waits for: the pause is so many times as long. */
const REST = 2;
/** And at least this part of the time that has been waited: what takes long may be seen a little later. */
const PART = 0.1;
const LONGEST_REST = 2000;

/**
 * Waits until a condition that nothing announces gives a value other than undefined or false.
 *
 * @param what what is waited for, as an error names it
 * @param timeout in ms
 * @param every pause between two looks, in ms, at least
 * @returns what the condition gave
 * @throws Error when it does not hold in time
 */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeout = PATIENCE_MS,
  every = LOOK_EVERY,
): Promise<T> {
  const start = performance.now();
  const end = start + timeout;
  for (;;) {
    const begun = performance.now();
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    const now = performance.now();
    if (now > end) throw new Error(`Wait for ${what}: not within ${timeout} ms`);
    const rest = Math.max(REST * (now - begun), PART * (now - start));
    const pause = Math.max(every, Math.min(rest, LONGEST_REST));
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
