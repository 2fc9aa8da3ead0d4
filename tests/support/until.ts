const LOOK_EVERY = 5;

/**
 * Waits until a condition that nothing announces holds.
 *
 * @param what named in the error
 * @param timeout in ms
 * @throws Error when it does not hold in time
 */
export async function until(what: string, condition: () => boolean, timeout = 10_000): Promise<void> {
  const end = performance.now() + timeout;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Wait for ${what}: not within ${timeout} ms`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}
