import type { Sys } from "../../os/sys.ts";

/** A step that took no longer may be larger the next time, in ms. */
const QUICK_MS = 250;
/** One that took longer is made smaller. */
const SLOW_MS = 2000;

/** Bytes of a step of something long: storage that is slow gets small ones, and tells of each. */
export interface StepLimits {
  readonly least: number;
  readonly most: number;
}

/** Something long in steps whose size follows from how long they take. */
export class Steps {
  readonly #sys: Pick<Sys, "monotonic">;
  readonly #limits: StepLimits;
  #bytes: number;

  constructor(sys: Pick<Sys, "monotonic">, limits: StepLimits) {
    this.#sys = sys;
    this.#limits = limits;
    this.#bytes = limits.least;
  }

  /** Bytes of the next step. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a step, and learns from it. */
  take<Result>(step: (bytes: number) => Result): Result {
    const { least, most } = this.#limits;
    const begun = this.#sys.monotonic();
    const result = step(this.#bytes);
    const took = this.#sys.monotonic() - begun;
    if (took <= QUICK_MS) this.#bytes = Math.min(most, this.#bytes * 2);
    else if (took > SLOW_MS) this.#bytes = Math.max(least, this.#bytes / 2);
    return result;
  }
}
