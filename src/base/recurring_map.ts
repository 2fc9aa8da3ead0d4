/** So many deleted keys are kept at least. */
const SPARE = 64;

/**
 * A map whose keys go and come again, as locks do.
 *
 * A Map of V8 leaves a hole in a key's hash chain when the key is deleted, until the whole table is made
 * anew, which takes the longer the larger the map is. One key that is set and deleted over and over among
 * 10,000 others makes its chain thousands of holes long, and each look at it slow. So a deleted key stays
 * here for a while without a value; a few at a time are deleted for good.
 */
export class RecurringMap<K, V extends NonNullable<unknown>> {
  readonly #entries = new Map<K, V | undefined>();
  #size = 0;

  /** How many keys have a value. */
  get size(): number {
    return this.#size;
  }

  get(key: K): V | undefined {
    return this.#entries.get(key);
  }

  has(key: K): boolean {
    return this.#entries.get(key) !== undefined;
  }

  set(key: K, value: V): void {
    if (!this.has(key)) this.#size++;
    this.#entries.set(key, value);
  }

  /** @returns whether it was there */
  delete(key: K): boolean {
    if (!this.has(key)) return false;
    this.#entries.set(key, undefined);
    this.#size--;
    if (this.#entries.size - this.#size > SPARE + this.#size / 4) this.#purge();
    return true;
  }

  clear(): void {
    this.#entries.clear();
    this.#size = 0;
  }

  /** Keys with a value. What is deleted meanwhile is left out. */
  *keys(): Generator<K> {
    for (const [key, value] of this.#entries) if (value !== undefined) yield key;
  }

  /** In no particular order. What is deleted meanwhile is left out. */
  *values(): Generator<V> {
    for (const value of this.#entries.values()) if (value !== undefined) yield value;
  }

  #purge(): void {
    for (const [key, value] of this.#entries) if (value === undefined) this.#entries.delete(key);
  }
}
