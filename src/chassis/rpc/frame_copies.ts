/** Bytes of a piece of memory that copies share. */
const CHUNK = 16384;

/**
 * Copies of requests that wait for something.
 *
 * Each array with more than 64 bytes has memory of its own, which is got and given back for more than such a
 * request costs. Here many share one piece, which goes when the last of them does.
 */
export class FrameCopies {
  #chunk = new Uint8Array(0);
  #used = 0;

  /** A copy of `bytes[start, end)`. */
  copy(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start;
    if (length > CHUNK / 8) return bytes.slice(start, end);
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = new Uint8Array(CHUNK);
      this.#used = 0;
    }
    const copy = this.#chunk.subarray(this.#used, this.#used + length);
    copy.set(bytes.subarray(start, end));
    this.#used += length;
    return copy;
  }
}
