/** So many are kept together. */
const CHUNK = 1 << 16;
/** A host's state is kept in two bytes, where a state was reached from in four. */
const MOST_STATES = 1 << 16;
const MOST = 2 ** 32;

interface Chunk {
  /** Numbers of the hosts' states, by the hosts, one state of all behind the other. */
  readonly hosts: Uint16Array;
  /** Index of the state before. */
  readonly before: Uint32Array;
}

/** States of all hosts in the order in which they were reached, in few bytes: there are many millions. */
export class ReachedStates {
  readonly #count: number;
  readonly #chunks: Chunk[] = [];
  #length = 0;

  /** @param count how many hosts @param states how many states a host has */
  constructor(count: number, states: number) {
    if (states > MOST_STATES) throw new Error(`A host has more than ${MOST_STATES} states: ${states}`);
    this.#count = count;
  }

  get length(): number {
    return this.#length;
  }

  /** @param before index of the state from which it was reached */
  push(hosts: ArrayLike<number>, before: number): void {
    if (this.#length === MOST) throw new Error(`There are more than ${MOST} states`);
    const at = this.#length++ % CHUNK;
    if (at === 0) {
      this.#chunks.push({ hosts: new Uint16Array(CHUNK * this.#count), before: new Uint32Array(CHUNK) });
    }
    const chunk = this.#chunks.at(-1);
    if (chunk === undefined) return;
    chunk.before[at] = before;
    for (let place = 0; place < this.#count; place++) {
      chunk.hosts[at * this.#count + place] = hosts[place] ?? 0;
    }
  }

  /** Writes down the numbers of the hosts' states. */
  read(index: number, into: Int32Array): void {
    const hosts = this.#chunks[Math.floor(index / CHUNK)]?.hosts;
    const from = (index % CHUNK) * this.#count;
    for (let place = 0; place < this.#count; place++) into[place] = hosts?.[from + place] ?? 0;
  }

  /** @returns index of the state from which one was reached */
  before(index: number): number {
    return this.#chunks[Math.floor(index / CHUNK)]?.before[index % CHUNK] ?? 0;
  }
}
