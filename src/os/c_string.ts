import { encodeText } from "./text.ts";

/** PATH_MAX of Linux, with the terminating NUL. */
export const PATH_MAX = 4096;

/** A NUL-terminated copy of a string for a C function. */
export function cString(text: string): Uint8Array {
  const bytes = encodeText(text);
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

/** A NULL-terminated array of C strings. Keep the object as long as the callee may read it. */
export class CStringArray {
  /** The pointers, ready to be passed as `char *const argv[]`. */
  readonly pointers: BigUint64Array;
  readonly #strings: Uint8Array[];

  constructor(texts: readonly string[]) {
    this.#strings = texts.map(cString);
    this.pointers = new BigUint64Array(texts.length + 1);
    this.#strings.forEach((string, index) => {
      this.pointers[index] = addressOf(string);
    });
  }
}

/**
 * Address of a typed array's first byte. The array must be kept alive, and not resized, while the address is
 * in use.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes as Uint8Array<ArrayBuffer>)));
}
