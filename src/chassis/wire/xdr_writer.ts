import { encodeTextInto, textLength } from "../../os/text.ts";
import { putU32 } from "./big_endian.ts";
import { FRAME_MAX } from "./frame.ts";
import { XdrError } from "./xdr_error.ts";

const UINT32 = 0x100000000;
/** A writer that had to grow above this gives the memory back at its next reset. */
const KEEP = 1 << 20;

/**
 * Writes XDR (RFC 4506) values one after another into a buffer of its own, which grows up to a limit.
 *
 * A writer that is {@link reset} instead of made anew allocates nothing. After an error it may hold a part of
 * the value; reset it to the length it had before.
 */
export class XdrWriter {
  readonly #capacity: number;
  readonly #limit: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /**
   * @param capacity bytes to start with
   * @param limit bytes it may hold at most; by default those of the longest message
   */
  constructor(capacity = 512, limit: number = FRAME_MAX) {
    this.#capacity = Math.min(capacity, limit);
    this.#limit = limit;
    this.#bytes = new Uint8Array(this.#capacity);
  }

  /** How many bytes are written. */
  get length(): number {
    return this.#length;
  }

  /** What is written. A view of the writer's buffer: valid until the next write or reset. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A copy of what is written; the caller owns it. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /**
   * Forgets everything after the first `length` bytes.
   *
   * @throws RangeError when less than that is written
   */
  reset(length = 0): this {
    if (length < 0 || length > this.#length) {
      throw new RangeError(`Cannot reset writer: length ${length} is not in 0..${this.#length}`);
    }
    this.#length = length;
    if (length === 0 && this.#bytes.length > KEEP && this.#bytes.length > this.#capacity) {
      this.#bytes = new Uint8Array(this.#capacity);
    }
    return this;
  }

  /**
   * Adds `size` bytes to be filled in later through {@link bytes}; until then they hold anything.
   *
   * @returns offset of the first
   */
  reserve(size: number): number {
    this.#need(size);
    const at = this.#length;
    this.#length = at + size;
    return at;
  }

  /** Unsigned 32-bit integer. */
  u32(value: number): void {
    if (value >>> 0 !== value) throw outOfRange("u32", value, `0..${UINT32 - 1}`);
    this.#put(value);
  }

  /** Signed 32-bit integer. */
  i32(value: number): void {
    if ((value | 0) !== value) throw outOfRange("i32", value, "-2147483648..2147483647");
    this.#put(value);
  }

  /** Unsigned 64-bit integer. */
  u64(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) throw outOfRange("u64", value, "0..2^64-1");
    this.#put64(value);
  }

  /** Unsigned 64-bit integer of at most 2^53 - 1. */
  u64Number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw outOfRange("u64", value, `0..${Number.MAX_SAFE_INTEGER}`);
    }
    this.#need(8);
    this.#put(Math.floor(value / UINT32));
    this.#put(value % UINT32);
  }

  /** Signed 64-bit integer. */
  i64(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw outOfRange("i64", value, "-2^63..2^63-1");
    this.#put64(BigInt.asUintN(64, value));
  }

  /** IEEE 754 double. */
  f64(value: number): void {
    const at = this.reserve(8);
    new DataView(this.#bytes.buffer, at, 8).setFloat64(0, value);
  }

  /** Boolean, as 0 or 1. */
  bool(value: boolean): void {
    this.#put(value ? 1 : 0);
  }

  /** Bytes without a length, padded. */
  opaque(bytes: Uint8Array): void {
    const padding = -bytes.length & 3;
    const at = this.reserve(bytes.length + padding);
    this.#bytes.set(bytes, at);
    this.#bytes.fill(0, at + bytes.length, at + bytes.length + padding);
  }

  /** A string, encoded by `encodeText`. */
  string(text: string): void {
    // Three bytes a character is the most it can take; only when that does not fit is it counted.
    const at = this.#length;
    if (this.#bytes.length - at < 4 + 3 * text.length + 3) {
      const exact = textLength(text);
      this.#need(4 + exact + (-exact & 3));
    }
    const length = encodeTextInto(text, this.#bytes, at + 4);
    this.#put(length);
    let end = at + 4 + length;
    for (let padding = -length & 3; padding > 0; padding--) this.#bytes[end++] = 0;
    this.#length = end;
  }

  /** An optional string (`string*`). */
  optionalString(text: string | undefined): void {
    this.bool(text !== undefined);
    if (text !== undefined) this.string(text);
  }

  /** Four bytes of an integer that is known to fit, signed or not. */
  #put(value: number): void {
    this.#need(4);
    putU32(this.#bytes, this.#length, value);
    this.#length += 4;
  }

  #put64(value: bigint): void {
    this.#need(8);
    this.#put(Number(value >> 32n));
    this.#put(Number(value & 0xffffffffn));
  }

  #need(size: number): void {
    const wanted = this.#length + size;
    if (wanted <= this.#bytes.length) return;
    if (wanted > this.#limit) throw new XdrError(`Cannot encode: ${wanted} bytes, at most ${this.#limit}`);
    const grown = new Uint8Array(Math.min(Math.max(wanted, this.#bytes.length * 2), this.#limit));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

function outOfRange(type: string, value: number | bigint, range: string): XdrError {
  return new XdrError(`Cannot encode ${type}: ${value} is not in ${range}`);
}
