import { EAGAIN } from "../../os/errno.ts";
import { encodeText } from "../../os/text.ts";

const NOTHING = new Uint8Array(0);

/**
 * Writes whole lines to a descriptor that may take only a part of one, so that the next line never starts
 * inside it: the rest of a cut line goes out before anything else.
 */
export class LineWriter {
  readonly #write: (bytes: Uint8Array) => number;
  #rest: Uint8Array = NOTHING;

  /** @param write one write(2) or send(2): how many bytes were taken, or -errno. Must not block. */
  constructor(write: (bytes: Uint8Array) => number) {
    this.#write = write;
  }

  /** @returns 0 when the line was taken (a rest may wait for the next call), or -errno when none of it was */
  send(line: string): number {
    const pending = this.#drain(this.#rest);
    if (pending < 0) return pending;
    const bytes = encodeText(line);
    const result = this.#drain(bytes);
    if (result < 0 && this.#rest.length === bytes.length) {
      this.#rest = NOTHING;
      return result;
    }
    return 0;
  }

  /** Forgets the rest of a cut line: the descriptor is now another file's. */
  reset(): void {
    this.#rest = NOTHING;
  }

  #drain(bytes: Uint8Array): number {
    let left = bytes;
    while (left.length > 0) {
      const taken = this.#write(left);
      if (taken <= 0) {
        this.#rest = left;
        return taken === 0 ? -EAGAIN : taken;
      }
      left = left.subarray(taken);
    }
    this.#rest = NOTHING;
    return 0;
  }
}
