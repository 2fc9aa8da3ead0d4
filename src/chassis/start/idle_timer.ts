import type { EventLoop, Timer } from "../event/event_loop.ts";

/**
 * Calls back when the daemon has been idle for a time (-t). What idle is it is told: a daemon may hold
 * something for those who have no connection.
 */
export class IdleTimer {
  readonly #loop: Pick<EventLoop, "after">;
  readonly #idle: () => boolean;
  readonly #expired: () => void;
  #seconds: number;
  #timer: Timer | undefined;

  /**
   * @param seconds 0: never
   * @param idle whether there is neither a client now nor anything else that the daemon is there for
   */
  constructor(loop: Pick<EventLoop, "after">, seconds: number, idle: () => boolean, expired: () => void) {
    this.#loop = loop;
    this.#seconds = seconds;
    this.#idle = idle;
    this.#expired = expired;
  }

  /** The limit in seconds, 0 when there is none. */
  get seconds(): number {
    return this.#seconds;
  }

  /** Changes the limit (SET_DAEMON_TIMEOUT); counting starts anew. */
  set seconds(seconds: number) {
    this.#seconds = seconds;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.check();
  }

  /** Something came or went: start or stop counting. */
  check(): void {
    if (this.#seconds === 0) return;
    if (!this.#idle()) {
      this.#timer?.cancel();
      this.#timer = undefined;
    } else if (this.#timer === undefined) {
      this.#timer = this.#loop.after(this.#seconds * 1000, () => {
        this.#timer = undefined;
        if (this.#idle()) this.#expired();
      });
    }
  }
}
