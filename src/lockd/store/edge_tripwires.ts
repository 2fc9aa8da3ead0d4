import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { type HeldTripwire, tripwireName, type Tripwires } from "./tripwires.ts";

/** The tripwire that was stored before everything else; the newest one is another. */
const OLDEST = 0;
/** So many ms after something was stored, the newest tripwire takes its place behind it. */
const RENEW_MS = 2000;

/** What tripwires at the edges work with. */
export interface EdgeParts {
  readonly loop: Pick<EventLoop, "after">;
  readonly tripwires: Tripwires;
  /** Whether the manager keeps what it is sent, and has room for tripwires. */
  readonly mayPut: () => boolean;
  /** Has one stored, behind everything that was asked for before. */
  readonly put: (name: string) => void;
  /** Takes one out of the store. */
  readonly remove: (name: string) => void;
  /** One that an earlier life has stored is in the store. */
  readonly known: (name: string) => void;
}

/**
 * A tripwire before everything that is stored and one behind it. A manager whose limit was lowered drops from
 * either end of its list.
 */
export class EdgeTripwires {
  readonly #parts: EdgeParts;
  /** Whether there are to be any. */
  #guarded = false;
  /** Number of the newest one, 1 or 2; undefined when there is none but the oldest. */
  #newest: number | undefined;
  #renewing = false;

  constructor(parts: EdgeParts) {
    this.#parts = parts;
  }

  /** Whether it is noticed when the manager drops something. */
  get guarded(): boolean {
    return this.#guarded;
  }

  /** From now on it is. To be called before anything is stored. */
  guard(): void {
    this.#guarded = true;
    const { tripwires, mayPut, put } = this.#parts;
    const name = tripwireName(OLDEST);
    if (!tripwires.has(name) && mayPut()) put(name);
  }

  /** From now on it is not: what the manager drops it was asked to. */
  rest(): void {
    this.#guarded = false;
  }

  /** Everything that was wanted is stored: the newest one takes its place behind it. */
  seal(): void {
    const { mayPut, put, remove } = this.#parts;
    if (!this.#guarded || !mayPut()) return;
    const before = this.#newest;
    this.#newest = before === 1 ? 2 : 1;
    put(tripwireName(this.#newest));
    if (before !== undefined) remove(tripwireName(before));
  }

  /** Something was stored: the newest one takes its place behind it, with whatever comes until then. */
  sealLater(): void {
    if (!this.#guarded || this.#renewing || !this.#parts.mayPut()) return;
    this.#renewing = true;
    this.#parts.loop.after(RENEW_MS, () => {
      this.#renewing = false;
      this.seal();
    });
  }

  /** Stores the oldest one anew. @returns its name */
  putOldest(): string {
    const name = tripwireName(OLDEST);
    this.#parts.remove(name);
    this.#parts.put(name);
    return name;
  }

  /**
   * Goes on with those of an earlier life. To be called before {@link guard}.
   *
   * @param handed read ends that an earlier image has handed over; taken
   * @param returned ends that the manager has handed over; closed
   */
  adopt(handed: readonly HeldTripwire[], returned: readonly HeldTripwire[]): void {
    const { tripwires, known } = this.#parts;
    for (const tripwire of handed) tripwires.adopt(tripwire);
    for (const { name, fd } of returned) tripwires.reopen(name, fd);
    for (const { name } of [...handed, ...returned]) known(name);
    this.#newest = [1, 2].find((number) => tripwires.has(tripwireName(number)));
  }

  /** Nothing is stored any more. */
  clear(): void {
    this.#newest = undefined;
  }
}
