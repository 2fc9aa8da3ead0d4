/** So many bytes of an image are looked at. An ISO image has its mark at 32,769. */
export const HEADER_SIZE = 33280;

/** The first bytes of an image, with numbers and texts in them; what lies behind the end is 0. */
export class ImageHeader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #exceeded = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Whether anything was asked for that lies behind the end. */
  get exceeded(): boolean {
    return this.#exceeded;
  }

  /** Whether the bytes before an offset are there. */
  has(end: number): boolean {
    if (end <= this.bytes.length) return true;
    this.#exceeded = true;
    return false;
  }

  /** A number of 4 bytes at an offset. */
  word(at: number, little = false): number {
    return this.has(at + 4) ? this.#view.getUint32(at, little) : 0;
  }

  /** A number of 2 bytes at an offset, the high byte first. */
  half(at: number): number {
    return this.has(at + 2) ? this.#view.getUint16(at, false) : 0;
  }

  /** A number of 8 bytes at an offset. */
  long(at: number, little = false): bigint {
    return this.has(at + 8) ? this.#view.getBigUint64(at, little) : 0n;
  }

  /** Whether these characters stand at an offset. */
  says(at: number, mark: string): boolean {
    if (!this.has(at + mark.length)) return false;
    for (let index = 0; index < mark.length; index++) {
      if (this.bytes[at + index] !== mark.charCodeAt(index)) return false;
    }
    return true;
  }

  /** Text up to a NUL or the end of the piece. */
  text(at: number, length: number): string {
    if (at + length > this.bytes.length) this.#exceeded = true;
    const piece = this.bytes.subarray(at, at + length);
    const end = piece.indexOf(0);
    return new TextDecoder().decode(end < 0 ? piece : piece.subarray(0, end));
  }
}
