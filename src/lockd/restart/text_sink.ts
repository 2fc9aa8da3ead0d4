const PIECE = 16384;

/**
 * Collects a long text as UTF-8, so that neither 40,000 strings nor the whole text is ever held beside the
 * bytes.
 */
export class TextSink {
  readonly #encoder = new TextEncoder();
  #bytes = new Uint8Array(64 * PIECE);
  #length = 0;
  #pending = "";

  /** Appends a text without lone surrogates. */
  add(text: string): void {
    this.#pending += text;
    if (this.#pending.length >= PIECE) this.#flush();
  }

  /** Appends texts with commas between them. */
  addList<T>(values: readonly T[], text: (value: T) => string): void {
    values.forEach((value, index) => this.add(index === 0 ? text(value) : `,${text(value)}`));
  }

  /** All bytes. The sink must not be used afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#flush();
    return this.#bytes.subarray(0, this.#length);
  }

  #flush(): void {
    // A code unit takes at most 3 bytes.
    const needed = this.#length + this.#pending.length * 3;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#length += this.#encoder.encodeInto(this.#pending, this.#bytes.subarray(this.#length)).written;
    this.#pending = "";
  }
}
