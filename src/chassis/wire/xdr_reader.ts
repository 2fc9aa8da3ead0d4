import { decodeText } from "../../os/text.ts";
import { getU32 } from "./big_endian.ts";
import { XdrError } from "./xdr_error.ts";

const NO_BYTES = new Uint8Array(0);
const HIGH_WORD = 0x100000000;

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
    const value = getU32(this.#bytes, at) * HIGH_WORD + getU32(this.#bytes, at + 4);
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
