/**
 * Bytes of requests on their way that every client may have: the longest sensible one, with two paths, is
 * shorter.
 */
export const ALWAYS_KEPT = 16 * 1024;
/** Bytes beyond that, of all clients of a server together. */
const SHARED = 32 * 1024 * 1024;

/** A client whose input counts. */
export interface BudgetedClient {
  /** There may be room for more of its input again. */
  roomForInput(): void;
}

/**
 * Bounds what the clients of a server can make it keep of messages that have not come whole. Who has more
 * than {@link ALWAYS_KEPT} is not read from while all of them together have too much; what it sends waits in
 * the kernel.
 */
export class InputBudget {
  readonly #limit: number;
  /** Bytes beyond {@link ALWAYS_KEPT}, of those who have so much. */
  readonly #beyond = new Map<BudgetedClient, number>();
  readonly #waiting = new Set<BudgetedClient>();
  #used = 0;

  /** @param limit bytes beyond {@link ALWAYS_KEPT}, of all together; one receive more may be kept */
  constructor(limit = SHARED) {
    this.#limit = limit;
  }

  /**
   * Says how much a client has: 0 when it has gone.
   *
   * @returns whether more may be read; if not, the client is told when that may have changed
   */
  grant(client: BudgetedClient, length: number): boolean {
    const beyond = length - ALWAYS_KEPT;
    if (beyond <= 0 && this.#beyond.size === 0) return true;
    this.#used += Math.max(0, beyond) - (this.#beyond.get(client) ?? 0);
    if (beyond > 0) this.#beyond.set(client, beyond);
    else this.#beyond.delete(client);
    this.#waiting.delete(client);
    if (this.#used < this.#limit) {
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const other of waiting) other.roomForInput();
      return true;
    }
    if (beyond <= 0) return true;
    this.#waiting.add(client);
    return false;
  }
}
