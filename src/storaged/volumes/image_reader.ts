import type { StorageSys } from "../../os/storage_sys.ts";
import {
  FIRST_PIECE,
  type ImageFacts,
  isIsoMark,
  ISO_PIECE,
  probeFormat,
  readFirstPiece,
  readImage,
} from "./image_format.ts";
import { HEADER_SIZE } from "./image_header.ts";

/** How many different headers are remembered. */
const REMEMBERED = 8;

/** A first piece, and what it says. */
interface Remembered {
  readonly words: Int32Array;
  readonly facts: ImageFacts;
}

/**
 * Reads what the first bytes of images say, as few of them as tell it. Images whose first pieces are the same
 * have the same facts, as one object: most volumes are raw, or overlays of one template.
 */
export class ImageReader {
  readonly #storage: Pick<StorageSys, "readAt">;
  readonly #buffer = new Uint8Array(HEADER_SIZE);
  readonly #first = this.#buffer.subarray(0, FIRST_PIECE);
  readonly #words = new Int32Array(this.#buffer.buffer, 0, FIRST_PIECE / 4);
  readonly #mark = new Uint8Array(ISO_PIECE.length);
  readonly #remembered: Remembered[] = [];

  constructor(storage: Pick<StorageSys, "readAt">) {
    this.#storage = storage;
  }

  /**
   * @param size of the file in bytes, as far as it is known
   * @param format that it has; undefined: it is found out
   * @returns -errno when it cannot be read
   */
  read(fd: number, size: number, format: string | undefined): ImageFacts | number {
    const first = this.#storage.readAt(fd, this.#first, 0);
    if (first < 0) return first;
    if (first < FIRST_PIECE) {
      const bytes = this.#buffer.subarray(0, first);
      return readImage(bytes, format ?? probeFormat(bytes));
    }
    if (format !== undefined) return readFirstPiece(this.#first, format) ?? this.#whole(fd, format);
    if (size >= ISO_PIECE.position + ISO_PIECE.length) {
      const mark = this.#storage.readAt(fd, this.#mark, ISO_PIECE.position);
      if (mark < 0) return mark;
      if (isIsoMark(this.#mark.subarray(0, mark))) {
        return readFirstPiece(this.#first, "iso") ?? this.#whole(fd, "iso");
      }
    }
    const known = this.#remembered.find(({ words }) => this.#isSame(words));
    if (known !== undefined) return known.facts;
    const facts = readFirstPiece(this.#first, undefined);
    if (facts === undefined) return this.#whole(fd, undefined);
    this.#remember(facts);
    return facts;
  }

  #whole(fd: number, format: string | undefined): ImageFacts | number {
    const length = this.#storage.readAt(fd, this.#buffer, 0);
    if (length < 0) return length;
    const bytes = this.#buffer.subarray(0, length);
    return readImage(bytes, format ?? probeFormat(bytes));
  }

  #isSame(words: Int32Array): boolean {
    for (let index = 0; index < words.length; index++) {
      if (words[index] !== this.#words[index]) return false;
    }
    return true;
  }

  /** Where there are many different ones, the first is forgotten. */
  #remember(facts: ImageFacts): void {
    if (this.#remembered.length === REMEMBERED) this.#remembered.shift();
    this.#remembered.push({ words: this.#words.slice(), facts });
  }
}
