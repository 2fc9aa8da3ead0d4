/** Random numbers that a seed repeats (splitmix32). */
export class Random {
  #state: number;

  /** @param seed its low 32 bits count */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A seed that nobody chose. */
  static freshSeed(): number {
    return crypto.getRandomValues(new Uint32Array(1))[0] as number;
  }

  /** 32 random bits. */
  u32(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.u32() / 0x1_0000_0000 * count);
  }

  /** True once in `times`, on average. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of some values. @throws RangeError when there is none */
  pick<T>(values: readonly T[]): T {
    if (values.length === 0) throw new RangeError("Cannot pick: there are no values");
    return values[this.below(values.length)] as T;
  }

  /** Random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at++) bytes[at] = this.u32();
    return bytes;
  }

  /** An independent source for part number `part` of the work. */
  split(part: number): Random {
    return new Random(new Random(this.#state ^ Math.imul(part + 1, 0x85ebca6b)).u32());
  }
}
