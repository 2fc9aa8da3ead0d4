import {
  emptyHeader,
  FRAME_MIN,
  frameLength,
  type Header,
  readHeader,
} from "../../src/chassis/wire/frame.ts";

/** One received message. */
export interface Frame {
  readonly header: Header;
  readonly payload: Uint8Array;
}

/** Cuts a stream of bytes into messages. */
export class FrameSplitter {
  #bytes = new Uint8Array(4096);
  #length = 0;

  /** Bytes of a message that has not come whole. */
  get pending(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @returns the messages that are whole now; they own their bytes
   * @throws Error when a length is not one of a message
   */
  push(chunk: Uint8Array): Frame[] {
    this.#append(chunk);
    const frames: Frame[] = [];
    let at = 0;
    for (;;) {
      const length = frameLength(this.#bytes, at, this.#length - at);
      if (length < 0) throw new Error(`Malformed message length: ${this.#bytes.slice(at, at + 4)}`);
      if (length === 0 || length > this.#length - at) break;
      const header = emptyHeader();
      readHeader(this.#bytes, at, header);
      frames.push({ header, payload: this.#bytes.slice(at + FRAME_MIN, at + length) });
      at += length;
    }
    this.#bytes.copyWithin(0, at, this.#length);
    this.#length -= at;
    return frames;
  }

  #append(chunk: Uint8Array): void {
    const wanted = this.#length + chunk.length;
    if (wanted > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(wanted, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = wanted;
  }
}
