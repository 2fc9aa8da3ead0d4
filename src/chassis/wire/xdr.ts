import { getU32, putU32 } from "./big_endian.ts";
import { FRAME_MAX } from "./frame.ts";
import { LightError } from "./light_error.ts";
import { decodeText, encodeTextInto, textLength } from "../../os/text.ts";

const NO_BYTES = new Uint8Array(0);
const UINT32 = 0x100000000;
/** A writer that had to grow above this gives the memory back at its next reset. */
const KEEP = 1 << 20;

/** A value cannot be read from, or written as, XDR: the input is malformed or over a limit. */
export class XdrError extends LightError {
  override readonly name = "XdrError";
}

/**
 * Reads XDR (RFC 4506) values one after another from a window of a byte array. docs/protocol.md.
 *
 * Reading past the window is an {@link XdrError}, also when the payload was longer and only its beginning was
 * kept. Padding that is not zero is accepted, as are bytes left over at the end. The reader keeps a reference
 * to the array, never a copy; {@link reset} makes it reusable, also after an error.
 */
export class XdrReader {
  #bytes: Uint8Array = NO_BYTES;
  #at = 0;
  #end = 0;

  /** The same as {@link reset} on a new reader. */
  constructor(bytes: Uint8Array = NO_BYTES, start = 0, end: number = bytes.length) {
    this.reset(bytes, start, end);
  }

  /**
   * Starts again on `bytes[start, end)`.
   *
   * @throws RangeError when the window is not inside the array
   */
  reset(bytes: Uint8Array, start = 0, end: number = bytes.length): this {
    if (start < 0 || start > end || end > bytes.length) {
      throw new RangeError(`Cannot read XDR: window ${start}..${end} is not inside 0..${bytes.length}`);
    }
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    return this;
  }

  /** Bytes of the window that have not been read. */
  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Unsigned 32-bit integer. */
  u32(): number {
    return getU32(this.#bytes, this.#take(4, "integer"));
  }

  /** Signed 32-bit integer. */
  i32(): number {
    return this.u32() | 0;
  }

  /** Unsigned 64-bit integer. */
  u64(): bigint {
    const at = this.#take(8, "u64");
    return BigInt(getU32(this.#bytes, at)) << 32n | BigInt(getU32(this.#bytes, at + 4));
  }

  /**
   * Unsigned 64-bit integer as a number, without allocating.
   *
   * @throws XdrError also when it is above 2^53 - 1
   */
  u64Number(): number {
    const at = this.#take(8, "u64");
    const value = getU32(this.#bytes, at) * UINT32 + getU32(this.#bytes, at + 4);
    if (value > Number.MAX_SAFE_INTEGER) {
      throw new XdrError(`Cannot decode u64: ${value} is not in 0..${Number.MAX_SAFE_INTEGER}`);
    }
    return value;
  }

  /** Signed 64-bit integer. */
  i64(): bigint {
    return BigInt.asIntN(64, this.u64());
  }

  /** IEEE 754 double. */
  f64(): number {
    const at = this.#take(8, "double");
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + at, 8).getFloat64(0);
  }

  /** Boolean; any value but 0 is true, as C's decoder has it. */
  bool(): boolean {
    return this.u32() !== 0;
  }

  /**
   * `length` bytes and their padding. The result is a view: valid as long as the array under the reader is.
   */
  opaque(length: number): Uint8Array {
    const at = this.#take(length + (-length & 3), "opaque");
    return this.#bytes.subarray(at, at + length);
  }

  /**
   * A string of at most `limit` bytes, decoded by {@link decodeText}.
   *
   * @throws XdrError when it is over the limit, or it or its padding ends past the window
   */
  string(limit: number): string {
    const length = this.#length("string", limit);
    const at = this.#take(length + (-length & 3), "string");
    return decodeText(this.#bytes, at, at + length);
  }

  /** An optional string (`string*`); undefined when absent. Throws as {@link string}. */
  optionalString(limit: number): string | undefined {
    return this.bool() ? this.string(limit) : undefined;
  }

  /**
   * The number of elements of an array.
   *
   * @throws XdrError when it is above `limit`
   */
  count(limit: number): number {
    return this.#length("array", limit);
  }

  #length(what: string, limit: number): number {
    const length = getU32(this.#bytes, this.#take(4, what));
    if (length > limit) throw new XdrError(`Cannot decode ${what}: length ${length} is not in 0..${limit}`);
    return length;
  }

  /** Offset of the next `size` bytes, which it passes over. */
  #take(size: number, what: string): number {
    const at = this.#at;
    if (size > this.#end - at) {
      throw new XdrError(`Cannot decode ${what}: ${size} bytes wanted, ${this.#end - at} left`);
    }
    this.#at = at + size;
    return at;
  }
}

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
