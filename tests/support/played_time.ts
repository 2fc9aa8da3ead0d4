import type { Timer } from "../../src/chassis/event/event_loop.ts";

/** Time that passes only when somebody says so. */
export class PlayedTime {
  now = 0;
  readonly #timers = new Set<Timer & { readonly run: () => void }>();

  /** A loop of one process, whose timers end with it. */
  loop(): PlayedLoop {
    return new PlayedLoop(this);
  }

  after(milliseconds: number, task: () => void): Timer {
    const timer = {
      due: this.now + milliseconds,
      run: task,
      cancel: () => void this.#timers.delete(timer),
    };
    this.#timers.add(timer);
    return timer;
  }

  /** Goes on to when the next timer is due, and runs what is due then. */
  advance(): void {
    let next = Infinity;
    for (const { due } of this.#timers) next = Math.min(next, due);
    if (next === Infinity) return;
    this.now = Math.max(this.now, next);
    for (const timer of [...this.#timers]) {
      if (timer.due <= this.now && this.#timers.delete(timer)) timer.run();
    }
  }
}

/** A process's timers. */
export class PlayedLoop {
  readonly #time: PlayedTime;
  #ended = false;

  constructor(time: PlayedTime) {
    this.#time = time;
  }

  after(milliseconds: number, task: () => void): Timer {
    return this.#time.after(milliseconds, () => {
      if (!this.#ended) task();
    });
  }

  defer(task: () => void): void {
    this.after(0, task);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The process is gone: nothing of it runs any more. */
  end(): void {
    this.#ended = true;
  }
}
