import type { EventLoop } from "../event/event_loop.ts";

/** The events of a descriptor that somebody waits for. */
export class Interest {
  readonly #loop: Pick<EventLoop, "add" | "modify" | "remove">;
  readonly #fd: number;
  readonly #heard: (events: number) => void;
  #events = 0;

  /**
   * @param fd stays the caller's, and open while anything is waited for
   * @param heard told of events
   */
  constructor(
    loop: Pick<EventLoop, "add" | "modify" | "remove">,
    fd: number,
    heard: (events: number) => void,
  ) {
    this.#loop = loop;
    this.#fd = fd;
    this.#heard = heard;
  }

  /**
   * Waits for these events from now on. With none the descriptor is taken out: a hang-up would be reported
   * over and over.
   *
   * @throws SystemError when the kernel refuses
   */
  set(events: number): void {
    if (events === this.#events) return;
    if (events === 0) this.#loop.remove(this.#fd);
    else if (this.#events === 0) this.#loop.add(this.#fd, events, this.#heard);
    else this.#loop.modify(this.#fd, events);
    this.#events = events;
  }
}
