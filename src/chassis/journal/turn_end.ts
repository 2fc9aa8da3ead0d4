import type { EventLoop } from "../event/event_loop.ts";

/** Something that is done once at the end of the turn of the loop in which it was first asked for. */
export class TurnEnd {
  readonly #loop: Pick<EventLoop, "defer">;
  readonly #task: () => void;
  #due = false;

  constructor(loop: Pick<EventLoop, "defer">, task: () => void) {
    this.#loop = loop;
    this.#task = task;
  }

  /** Asks for it. */
  ask(): void {
    if (this.#due) return;
    this.#due = true;
    this.#loop.defer(() => {
      this.#due = false;
      this.#task();
    });
  }
}
