/** So many bits are made at once, as a power of two. */
const PAGE_BITS = 22;
const PAGE = 2 ** PAGE_BITS;

/**
 * Which states of all hosts together have been seen, whichever host is in which of its states: a bit for each
 * that there could be, at its own place, so no two are ever taken for one. Where none was seen is no memory.
 */
export class SeenStates {
  /** For each place in order, and each state there: how many of all states come before it, because of it. */
  readonly #before: readonly Float64Array[];
  readonly #pages: (Uint32Array | undefined)[] = [];
  #size = 0;

  /** @param count how many hosts @param states how many states a host has */
  constructor(count: number, states: number) {
    const before: Float64Array[] = [];
    // Binomial coefficients: so many ways there are to choose some of some, of which each may come again.
    for (let place = 0; place < count; place++) {
      const row = new Float64Array(states + 1);
      for (let state = 1; state <= states; state++) {
        row[state] = (row[state - 1] ?? 0) + (before[place - 1]?.[state] ?? 1);
      }
      before.push(row);
    }
    const all = before.at(-1)?.at(-1) ?? 0;
    if (all > Number.MAX_SAFE_INTEGER) throw new Error(`${count} hosts have too many states: ${all}`);
    this.#before = before;
  }

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** @param ordered numbers of the hosts' states, the smallest first @returns whether it was not there */
  add(ordered: ArrayLike<number>): boolean {
    let bit = 0;
    for (let place = 0; place < this.#before.length; place++) {
      bit += this.#before[place]?.[ordered[place] ?? 0] ?? 0;
    }
    const number = Math.floor(bit / PAGE);
    let page = this.#pages[number];
    if (page === undefined) {
      page = new Uint32Array(PAGE / 32);
      this.#pages[number] = page;
    }
    const within = bit - number * PAGE;
    const [word, mask] = [within >>> 5, 1 << (within & 31)];
    const known = page[word] ?? 0;
    if ((known & mask) !== 0) return false;
    page[word] = known | mask;
    this.#size++;
    return true;
  }
}
