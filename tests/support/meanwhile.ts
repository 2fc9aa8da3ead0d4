/**
 * Work that goes on while a test does something else, and for which it waits later. A test that fails before
 * it waits has its own error shown: the runner would show only that this work has failed too, as when it ends
 * with a host that is removed, and cancel all other tests of the file.
 */
export function meanwhile<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}
