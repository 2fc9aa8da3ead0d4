import { invariant } from "../../base/invariant.ts";
import { type Header, readHeader } from "../wire/frame.ts";
import { frameTotal } from "../wire/frame_total.ts";
import { isPing } from "../wire/keepalive.ts";
import type { InputBytes } from "./durability.ts";

const FIRST_CAPACITY = 512;
const GROWTH = 1.25;

/**
 * Bytes of one client that were received but not served: the rest of a message that has not come whole, or
 * messages behind one that is still in service.
 *
 * Always begins at a message boundary. Of a message longer than any procedure needs only the beginning is
 * kept; the rest is counted, so that 1,000 clients with 32 MiB messages cost 1,000 times a small prefix.
 */
export class InputBuffer {
  #bytes = new Uint8Array(FIRST_CAPACITY);
  #length = 0;
  #dropped = 0;
  /** Bytes from the start that were looked through for keepalive messages. */
  #scanned = 0;

  /** The kept bytes. A view: valid until the next change. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** How many bytes are kept. */
  get length(): number {
    return this.#length;
  }

  /** How many bytes of the first message were dropped behind the kept ones. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Whether nothing is waiting. */
  get empty(): boolean {
    return this.#length === 0 && this.#dropped === 0;
  }

  /**
   * Adds received bytes.
   *
   * @param keep most bytes to hold; what goes beyond is counted and dropped
   */
  append(chunk: Uint8Array, keep = Infinity): void {
    const kept = Math.max(0, Math.min(chunk.length, keep - this.#length));
    const needed = this.#length + kept;
    if (needed > this.#bytes.length) {
      // By a quarter, so that many clients with half messages do not cost twice what they sent; moved, so
      // that nothing is left to collect.
      const capacity = Math.max(needed, Math.min(Math.ceil(this.#bytes.length * GROWTH), keep));
      this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(capacity));
    }
    this.#bytes.set(chunk.subarray(0, kept), this.#length);
    this.#length += kept;
    this.#dropped += chunk.length - kept;
  }

  /** Takes the first `count` bytes, and what was dropped behind them, away. */
  consume(count: number): void {
    this.#bytes.copyWithin(0, count, this.#length);
    this.#length -= count;
    this.#dropped = 0;
    this.#scanned = 0;
    if (this.#length === 0 && this.#bytes.length > FIRST_CAPACITY) {
      this.#bytes = new Uint8Array(FIRST_CAPACITY);
    }
  }

  /**
   * Looks for a keepalive message that has come whole, from where the last search ended. {@link takePing}
   * takes it out.
   *
   * @param header filled with the headers of the messages on the way
   * @returns its length, 0 when there is none
   */
  findPing(header: Header): number {
    if (this.#dropped > 0) return 0;
    while (this.#scanned < this.#length) {
      const present = this.#length - this.#scanned;
      const total = frameTotal(this.#bytes, this.#scanned, present);
      if (total <= 0 || total > present) return 0;
      readHeader(this.#bytes, this.#scanned, header);
      if (isPing(header)) return total;
      this.#scanned += total;
    }
    return 0;
  }

  /** Takes the message that {@link findPing} has found, of that length, out of the middle. */
  takePing(length: number): void {
    invariant(length > 0 && this.#scanned + length <= this.#length, "There is no keepalive message to take");
    this.#bytes.copyWithin(this.#scanned, this.#scanned + length, this.#length);
    this.#length -= length;
  }

  /** Puts back what an earlier image of the daemon kept. */
  static restored(bytes: Uint8Array, dropped: number): InputBuffer {
    const buffer = new InputBuffer();
    buffer.append(bytes);
    buffer.#dropped = dropped;
    return buffer;
  }
}

const NOTHING = new Uint8Array(0);

/** A request that was kept, and what came behind it, as one. @param frame undefined when none was kept */
export function joinedInput(frame: Uint8Array | undefined, input: InputBuffer | undefined): InputBytes {
  const waiting = input?.bytes ?? NOTHING;
  const dropped = input?.dropped ?? 0;
  if (frame === undefined) return { bytes: waiting, dropped };
  if (waiting.length === 0) return { bytes: frame, dropped };
  const all = new Uint8Array(frame.length + waiting.length);
  all.set(frame);
  all.set(waiting, frame.length);
  return { bytes: all, dropped };
}
