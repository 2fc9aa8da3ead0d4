import type { EventLoop, Timer } from "../../chassis/event/event_loop.ts";
import type { Sys } from "../../os/sys.ts";

/** What a watch needs of the daemon. */
export interface WatchParts {
  readonly sys: Pick<Sys, "monotonic">;
  readonly loop: EventLoop;
}

/**
 * Watches that storage goes on while a stream waits for it. Its timer is looked at only when it fires, so
 * that a stream may wait and go on as often as it likes.
 */
export class StorageWatch {
  readonly #parts: WatchParts;
  readonly #late: (waited: number) => void;
  #timer: Timer | undefined;
  #waiting: { readonly limit: number; since: number } | undefined;

  /** @param late storage was waited for that long, in ms, without a sign of life; the watch is over */
  constructor(parts: WatchParts, late: (waited: number) => void) {
    this.#parts = parts;
    this.#late = late;
  }

  /** Whether it is storage that the stream waits for. */
  get waiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** From now on storage is waited for. @param limit ms without a sign of life */
  begin(limit: number): void {
    const since = this.#parts.sys.monotonic();
    this.#waiting = { limit, since };
    if (this.#timer !== undefined && this.#timer.due <= since + limit) return;
    this.#timer?.cancel();
    this.#timer = this.#parts.loop.after(limit, () => this.#look());
  }

  /** Storage gives a sign of life. */
  heard(): void {
    if (this.#waiting !== undefined) this.#waiting.since = this.#parts.sys.monotonic();
  }

  /** Nobody waits for storage now. */
  pause(): void {
    this.#waiting = undefined;
  }

  /** The stream is over. */
  end(): void {
    this.#waiting = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const { limit, since } = waiting;
    const left = limit - (this.#parts.sys.monotonic() - since);
    if (left > 0) {
      this.#timer = this.#parts.loop.after(left, () => this.#look());
      return;
    }
    this.#waiting = undefined;
    this.#late(limit);
  }
}
