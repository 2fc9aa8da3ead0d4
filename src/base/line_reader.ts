import { joined } from "./joined.ts";

const NEWLINE = 10;

/** Makes lines of bytes as they come. */
export class LineReader {
  readonly #longest: number;
  /** Bytes of a line whose end has not come. */
  #rest: Uint8Array[] = [];
  #length = 0;

  /** @param longest line that is taken, in bytes without its end */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /**
   * Takes bytes, which must not be changed afterwards.
   *
   * @returns the lines that have their end now, without it; undefined when one is too long, and nothing is
   *   to be read on
   */
  read(bytes: Uint8Array): readonly Uint8Array[] | undefined {
    const lines: Uint8Array[] = [];
    let begin = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, begin)) {
      if (!this.#keep(bytes.subarray(begin, end))) return undefined;
      lines.push(joined(this.#rest));
      this.clear();
      begin = end + 1;
    }
    if (begin < bytes.length && !this.#keep(bytes.subarray(begin))) return undefined;
    return lines;
  }

  /** Forgets the beginning of a line. */
  clear(): void {
    this.#rest = [];
    this.#length = 0;
  }

  #keep(piece: Uint8Array): boolean {
    this.#rest.push(piece);
    this.#length += piece.length;
    return this.#length <= this.#longest;
  }
}
