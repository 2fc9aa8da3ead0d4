/**
 * How many times polling may be in vain before it is given up; each time that it pays it gets them all back.
 */
const CREDIT = 4;
/** After a sleep shorter than this, in ms, polling is worth a try: most of it was the waking up. */
const SHORT_SLEEP_MS = 0.1;
/**
 * Once it was in vain, polling is tried again after so many short sleeps, twice as many each time, at most
 * these.
 */
const MAX_PAUSE = 64;
/**
 * Once somebody else wanted the CPU, polling is tried again after so many short sleeps, twice as many each
 * time. A trial then costs a whole time slice, some 3 ms, so it must be rare: at 30 us for each sleep this is
 * one in 120 ms.
 */
const MAX_CROWDED_PAUSE = 4096;
/**
 * A yield and a poll together take a microsecond or two. When they took longer than this, in ms, somebody
 * else ran in between. It is as long as a quick request takes its client, which may be on this very CPU.
 */
const CROWDED_MS = 0.2;

/**
 * So many polls that found something, with nobody else wanting the CPU in between, and the host counts as
 * quiet again.
 */
const CALM_AFTER = 256;

/**
 * Whether the loop polls before it sleeps.
 *
 * Polling pays when requests come quickly and a CPU has nothing else to do. Where other programs wait for the
 * CPU it is the worst there is: the loop spends its time slice on nothing, and then has to wait for theirs,
 * while a process that sleeps is given the CPU at once when it wakes.
 */
export class Polling {
  #credit = 0;
  /** Short sleeps before the next trial, for either reason. */
  #pause = 1;
  #vainPause = 1;
  #crowdedPause = 1;
  #shortSleeps = 0;
  #calm = 0;

  /** Whether to poll now. */
  get on(): boolean {
    return this.#credit > 0;
  }

  /**
   * Told after each poll.
   *
   * @param found whether there was an event
   * @param took milliseconds of this poll with the yield before it
   */
  polled(found: boolean, took: number): void {
    if (took > CROWDED_MS) return this.#crowded();
    if (!found) return;
    this.#credit = CREDIT;
    this.#vainPause = 1;
    if (++this.#calm >= CALM_AFTER) this.#crowdedPause = 1;
  }

  /** A whole spell of polling found nothing. */
  inVain(): void {
    if (this.#credit === 0 || --this.#credit > 0) return;
    this.#pause = this.#vainPause;
    this.#vainPause = Math.min(MAX_PAUSE, this.#vainPause * 2);
  }

  /** Told how many milliseconds the loop slept while polling was off. */
  slept(milliseconds: number): void {
    if (milliseconds >= SHORT_SLEEP_MS || ++this.#shortSleeps < this.#pause) return;
    this.#shortSleeps = 0;
    this.#credit = CREDIT;
  }

  #crowded(): void {
    this.#credit = 0;
    this.#calm = 0;
    this.#shortSleeps = 0;
    this.#pause = this.#crowdedPause;
    this.#crowdedPause = Math.min(MAX_CROWDED_PAUSE, this.#crowdedPause * 2);
  }
}
