/**
 * What this process has open: each descriptor with what it is.
 *
 * A leak shows in {@link openedSince}, not in a number: of what an earlier test had open, the runtime may
 * close something at any time.
 */
export function openDescriptors(): ReadonlySet<string> {
  return new Set([...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      // A file that was removed meanwhile is still the same.
      return [`${name} ${Deno.readLinkSync(`/proc/self/fd/${name}`).replace(/ \(deleted\)$/, "")}`];
    } catch (error) {
      // The descriptor by which the directory is read.
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }));
}

/** What is open now and was not before. */
export function openedSince(before: ReadonlySet<string>): string[] {
  return [...openDescriptors()].filter((descriptor) => !before.has(descriptor));
}
