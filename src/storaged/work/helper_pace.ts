import type { EventLoop, Timer } from "../../chassis/event/event_loop.ts";

/** Helpers at once. Each takes some 20 MB of its own. */
const MOST_HELPERS = 32;
/** As many are started at once when there is something to do. */
const PROMPT_HELPERS = 4;
/**
 * Milliseconds until one more is started: what many pools want at the same time is short, and those that are
 * there have done it before another one has started. The second is for while one has not come up yet.
 */
const PACE_MS = 100;
const STARTING_MS = 300;

/** A helper as far as it counts. */
interface CountedHelper {
  /** Whether it has come up. */
  readonly ready: boolean;
  /** Place that holds it up; undefined: none does. */
  readonly hungAt: string | undefined;
}

/** How fast helpers are started when many operations want one at the same time. */
export class HelperPace {
  readonly #loop: Pick<EventLoop, "after">;
  readonly #look: () => void;
  #timer: Timer | undefined;
  #turn = false;

  /** @param look looks again whether a helper is to be started */
  constructor(loop: Pick<EventLoop, "after">, look: () => void) {
    this.#loop = loop;
    this.#look = look;
  }

  /** Whether one more helper may be started now; if only later, it is looked again then. */
  mayStart(helpers: readonly CountedHelper[]): boolean {
    const answering = helpers.filter(({ hungAt }) => hungAt === undefined).length;
    if (answering >= MOST_HELPERS) return false;
    if (answering < PROMPT_HELPERS) return true;
    if (this.#turn) {
      this.#turn = false;
      return true;
    }
    this.#timer ??= this.#loop.after(helpers.every(({ ready }) => ready) ? PACE_MS : STARTING_MS, () => {
      this.#timer = undefined;
      this.#turn = true;
      this.#look();
      this.#turn = false;
    });
    return false;
  }

  /** It is not looked again. */
  close(): void {
    this.#timer?.cancel();
  }
}
