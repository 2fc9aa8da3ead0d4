import type { LockHolder } from "./lock_holder.ts";

/**
 * Daemons of a host of which each knew every lock that the ones before it had granted and not taken back:
 * over kills, restarts and re-execs, as long as the journal or the document was whole. What etcd has for such
 * a daemon, and its successor does not know, was never granted to anybody, or was released by everybody.
 *
 * A daemon that cannot tell what was granted before begins another one.
 */
export class Lineage {
  readonly #prefix: string;
  readonly #nonce: () => string;

  /**
   * @param id the same for all of them, and for no others
   * @param nonce another text each time
   */
  constructor(id: string, nonce: () => string = () => crypto.randomUUID()) {
    this.#prefix = `${id}.`;
    this.#nonce = nonce;
  }

  /** What a record says of the try to get a lock: another text each time, by which its lineage is known. */
  readonly attempt = (): string => `${this.#prefix}${this.#nonce()}`;

  /** Whether one of these daemons has written a record. */
  wrote({ attempt }: Pick<LockHolder, "attempt">): boolean {
    return attempt.startsWith(this.#prefix);
  }
}
