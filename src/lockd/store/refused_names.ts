import type { Log } from "../../chassis/log/log.ts";

/** Names of what should be stored and could not be. */
export class RefusedNames {
  readonly #log: Log;
  readonly #names = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  get size(): number {
    return this.#names.size;
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#names.values();
  }

  /**
   * Says that something is not stored: loudly for the first one.
   *
   * @param known whether it has been reported already that nothing at all is kept
   */
  refuse(name: string, reason: string, known: boolean): void {
    const first = this.#names.size === 0;
    this.#names.add(name);
    const message =
      `A lock or connection is not kept by the service manager (${name}), a crash would lose it: ${reason}`;
    if (first && !known) this.#log.error(message);
    else this.#log.info(message);
  }

  /** The same for many, of which somebody else tells. */
  add(names: Iterable<string>): void {
    for (const name of names) this.#names.add(name);
  }

  /** It is stored after all, or need not be any more. */
  delete(name: string): void {
    this.#names.delete(name);
  }

  clear(): void {
    this.#names.clear();
  }
}
