/** Pause between two looks at a condition that nothing announces. */
const INTERVAL_MS = 50;

/**
 * Waits until a condition gives a value other than undefined or false.
 *
 * @param what named in the error
 * @param condition looked at anew every 50 ms
 * @param deadline in milliseconds
 * @returns what the condition gave
 * @throws Error when the deadline passes first
 */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  deadline = 15_000,
): Promise<T> {
  const end = performance.now() + deadline;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) {
      return value;
    }
    if (performance.now() > end) {
      throw new Error(`Waited for ${what}: not so after ${deadline} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}
