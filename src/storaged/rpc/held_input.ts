import { emptyHeader, readHeader } from "../../chassis/wire/frame.ts";
import { frameTotal } from "../../chassis/wire/frame_total.ts";
import { isPing } from "../../chassis/wire/keepalive.ts";

/** Bytes of a client that has to wait, in the order of the stream. */
export class HeldInput {
  readonly #header = emptyHeader();
  #bytes = new Uint8Array(0);
  #length = 0;
  /** Bytes from the start that were looked through for pings. */
  #scanned = 0;

  /** The bytes. A view: valid until the next change. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  /** Adds a copy of bytes. */
  add(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(needed));
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }

  /** Takes bytes away from the start. */
  consume(count: number): void {
    this.#scanned = Math.max(0, this.#scanned - count);
    this.#length -= count;
    if (this.#length === 0) {
      this.#bytes = new Uint8Array(0);
      this.#scanned = 0;
    } else this.#bytes.copyWithin(0, count, count + this.#length);
  }

  /**
   * Takes out the next whole ping. The bytes must begin with a message.
   *
   * @returns whether there was one
   */
  takePing(): boolean {
    while (this.#scanned < this.#length) {
      const present = this.#length - this.#scanned;
      const total = frameTotal(this.#bytes, this.#scanned, present);
      if (total <= 0 || total > present) return false;
      readHeader(this.#bytes, this.#scanned, this.#header);
      if (isPing(this.#header)) {
        this.#bytes.copyWithin(this.#scanned, this.#scanned + total, this.#length);
        this.#length -= total;
        return true;
      }
      this.#scanned += total;
    }
    return false;
  }
}
