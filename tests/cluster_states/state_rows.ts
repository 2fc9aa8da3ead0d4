import { orderInto } from "./numbers.ts";

/** So many rows are made at once. */
const CHUNK = 256;

/**
 * States of all hosts together: for those of all but the last host, whichever of these is in which, a row
 * with a bit for each state of the last one. It also knows which of them nobody has looked at yet.
 */
export class StateRows {
  /** So many numbers of 32 bits are in a row. */
  readonly words: number;
  readonly #others: number;
  readonly #base: number;
  /** Rows by the others' states, and back. */
  readonly #rows = new Map<number, number>();
  readonly #keys: number[] = [];
  /** For each row what is there, and behind it what of that nobody has looked at. */
  readonly #chunks: Uint32Array[] = [];
  /** Rows that somebody has to look at, and whether a row is one of them. */
  #waiting: number[] = [];
  #turn: number[] = [];
  readonly #isWaiting: boolean[] = [];
  /** The row that was taken at last. */
  #taken = 0;
  readonly #ordered: Int32Array;

  /** @param count how many hosts @param states how many states a host has */
  constructor(count: number, states: number) {
    this.words = Math.ceil(states / 32);
    this.#others = count - 1;
    this.#base = states;
    this.#ordered = new Int32Array(count - 1);
    if (states ** this.#others > Number.MAX_SAFE_INTEGER) throw new Error(`${count} hosts are too many`);
  }

  /** Adds states, of which the last host's are given as bits, and those of the others before it. */
  addAll(all: Int32Array, bits: Uint32Array): void {
    const row = this.#row(all);
    const [chunk, at] = [this.#chunk(row), this.#place(row)];
    let added = 0;
    for (let word = 0; word < this.words; word++) {
      const known = chunk[at + word] ?? 0;
      const more = (bits[word] ?? 0) & ~known;
      if (more === 0) continue;
      chunk[at + word] = known | more;
      chunk[at + this.words + word] = (chunk[at + this.words + word] ?? 0) | more;
      added |= more;
    }
    if (added !== 0) this.#wait(row);
  }

  /** Adds one state. */
  add(all: Int32Array): void {
    const row = this.#row(all);
    const [chunk, at] = [this.#chunk(row), this.#place(row)];
    const state = all[this.#others] ?? 0;
    const [word, bit] = [state >>> 5, 1 << (state & 31)];
    const known = chunk[at + word] ?? 0;
    if ((known & bit) !== 0) return;
    chunk[at + word] = known | bit;
    chunk[at + this.words + word] = (chunk[at + this.words + word] ?? 0) | bit;
    this.#wait(row);
  }

  /**
   * Takes some that nobody has looked at.
   *
   * @param all takes the states of all but the last host
   * @param bits takes those of the last one
   * @returns whether there were any
   */
  take(all: Int32Array, bits: Uint32Array): boolean {
    if (this.#turn.length === 0) {
      // Whatever comes to a row until it has its turn is looked at together.
      this.#turn = this.#waiting.reverse();
      this.#waiting = [];
    }
    const row = this.#turn.pop();
    if (row === undefined) return false;
    this.#taken = row;
    this.#isWaiting[row] = false;
    this.#read(row, all);
    const chunk = this.#chunk(row);
    const fresh = this.#place(row) + this.words;
    for (let word = 0; word < this.words; word++) {
      bits[word] = chunk[fresh + word] ?? 0;
      chunk[fresh + word] = 0;
    }
    return true;
  }

  /**
   * Adds one that differs from those that were taken at last by the last host's state alone, for whoever has
   * taken those to look at.
   *
   * @returns whether it was not there
   */
  join(state: number): boolean {
    const chunk = this.#chunk(this.#taken);
    const [word, bit] = [this.#place(this.#taken) + (state >>> 5), 1 << (state & 31)];
    const known = chunk[word] ?? 0;
    chunk[word] = known | bit;
    return (known & bit) === 0;
  }

  /** How many states there are, whichever of all hosts is in which. */
  get states(): number {
    const others = new Int32Array(this.#others);
    let states = 0;
    for (let row = 0; row < this.#keys.length; row++) {
      this.#read(row, others);
      const [chunk, at] = [this.#chunk(row), this.#place(row)];
      const largest = others.at(-1) ?? 0;
      // Each is here once for every host that could be the last one: it counts where that has the largest.
      for (let word = largest >>> 5; word < this.words; word++) {
        const bits = chunk[at + word] ?? 0;
        states += ones(word === largest >>> 5 ? bits & (-1 << (largest & 31)) : bits);
      }
    }
    return states;
  }

  /** @param all of which the last one's state does not matter */
  #row(all: Int32Array): number {
    orderInto(all, this.#ordered);
    let key = 0;
    for (let place = 0; place < this.#others; place++) key = key * this.#base + (this.#ordered[place] ?? 0);
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const row = this.#keys.push(key) - 1;
    this.#rows.set(key, row);
    if (row % CHUNK === 0) this.#chunks.push(new Uint32Array(CHUNK * 2 * this.words));
    this.#isWaiting.push(false);
    return row;
  }

  #read(row: number, all: Int32Array): void {
    let key = this.#keys[row] ?? 0;
    for (let place = this.#others - 1; place >= 0; place--) {
      all[place] = key % this.#base;
      key = Math.floor(key / this.#base);
    }
  }

  #wait(row: number): void {
    if (this.#isWaiting[row] === true) return;
    this.#isWaiting[row] = true;
    this.#waiting.push(row);
  }

  #chunk(row: number): Uint32Array {
    const chunk = this.#chunks[Math.floor(row / CHUNK)];
    if (chunk === undefined) throw new Error(`There is no row ${row}`);
    return chunk;
  }

  #place(row: number): number {
    return (row % CHUNK) * 2 * this.words;
  }
}

function ones(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count++;
  return count;
}
