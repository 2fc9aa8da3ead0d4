import { invariant } from "../../base/invariant.ts";
import { FACTS_SIZE, readFacts } from "../../os/file_facts.ts";
import { decodeText, encodeText } from "../../os/text.ts";
import type { VolumeDefinition } from "../model/volume_definition.ts";
import { documentText, readDocument } from "../work/document.ts";
import { type FoundImage, volumeOf } from "./found_volume.ts";
import type { SeenVolume } from "./volume_reader.ts";

// Volumes on their way from a helper to the daemon, and as the daemon keeps them: a pool may have ten
// thousand. A batch is rows one behind the other. A volume's row has what the kernel says of its file as it
// says it, and its name; what many volumes share has a row of its own ahead of the first of them. Everything
// else is made of that when somebody asks for the volume.

/** Bytes of a batch at most. */
export const BATCH_SIZE = 65536 - 1;

/** Kinds of rows: the first byte. */
const SHARED = 1;
const VOLUME = 2;

// A shared row: kind, 3 unused bytes, length of its text, text.
const SHARED_HEAD = 8;
// A volume's row: kind, whether an upload was interrupted, length of the name, number of its image's row,
// number of its label's row or NONE, facts, name.
const FACTS_AT = 12;
const NAME_AT = FACTS_AT + FACTS_SIZE;
const NONE = 0xffff_ffff;

/** Puts volumes into batches. */
export class RowWriter {
  readonly #send: (batch: Uint8Array) => void;
  readonly #bytes = new Uint8Array(BATCH_SIZE);
  readonly #view = new DataView(this.#bytes.buffer);
  #length = 0;
  /** Numbers of what was sent already. */
  readonly #images = new Map<FoundImage, number>();
  readonly #texts = new Map<string, number>();

  /** @param send gets each batch, whose bytes are valid for that call */
  constructor(send: (batch: Uint8Array) => void) {
    this.#send = send;
  }

  /**
   * Adds a volume.
   *
   * @param name its bytes, and a NUL
   */
  add(name: Uint8Array, { facts, image, label, interrupted }: SeenVolume): void {
    const imageRow = this.#image(image);
    const labelRow = label === undefined ? NONE : this.#shared(documentText(label));
    const length = name.length - 1;
    const at = this.#take(NAME_AT + length);
    this.#bytes[at] = VOLUME;
    this.#bytes[at + 1] = interrupted ? 1 : 0;
    this.#view.setUint16(at + 2, length, true);
    this.#view.setUint32(at + 4, imageRow, true);
    this.#view.setUint32(at + 8, labelRow, true);
    this.#bytes.set(facts.subarray(0, FACTS_SIZE), at + FACTS_AT);
    this.#bytes.set(name.subarray(0, length), at + NAME_AT);
  }

  /** Sends what is left. */
  finish(): void {
    if (this.#length > 0) this.#send(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
  }

  #image(image: FoundImage): number {
    let row = this.#images.get(image);
    if (row === undefined) this.#images.set(image, row = this.#shared(documentText(image)));
    return row;
  }

  #shared(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const bytes = encodeText(text);
    const at = this.#take(SHARED_HEAD + bytes.length);
    this.#bytes[at] = SHARED;
    this.#view.setUint32(at + 4, bytes.length, true);
    this.#bytes.set(bytes, at + SHARED_HEAD);
    const row = this.#texts.size;
    this.#texts.set(text, row);
    return row;
  }

  /** Room for a row. @returns where it is */
  #take(size: number): number {
    invariant(size <= BATCH_SIZE, `A row of ${size} bytes does not fit into a batch`);
    if (this.#length + size > BATCH_SIZE) this.finish();
    const at = this.#length;
    this.#length += size;
    return at;
  }
}

/** A batch that has come. */
interface Batch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Volumes as they came, each made of its row when it is asked for. */
export class VolumeRows {
  readonly #directory: string;
  readonly #batches: Batch[] = [];
  readonly #shared: unknown[] = [];
  /** Where each volume's row is: number of the batch, and offset in it. */
  readonly #places = new Map<string, number>();

  /** @param directory path of the pool */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** In the order in which they were found. */
  get names(): IterableIterator<string> {
    return this.#places.keys();
  }

  get size(): number {
    return this.#places.size;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  /** In a pool of files it is the path too. */
  keyOf(name: string): string {
    return `${this.#directory}/${name}`;
  }

  /** Takes a batch of a {@link RowWriter} over, in the order in which they were sent: its bytes are kept. */
  add(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const first = this.#batches.length * (BATCH_SIZE + 1);
    this.#batches.push({ bytes, view });
    for (let at = 0; at < bytes.length;) {
      if (bytes[at] === SHARED) {
        const end = at + SHARED_HEAD + view.getUint32(at + 4, true);
        this.#shared.push(readDocument(decodeText(bytes, at + SHARED_HEAD, end)));
        at = end;
      } else {
        invariant(bytes[at] === VOLUME, `A batch of volumes has a row of kind ${bytes[at]}`);
        const end = at + NAME_AT + view.getUint16(at + 2, true);
        this.#places.set(decodeText(bytes, at + NAME_AT, end), first + at);
        at = end;
      }
    }
  }

  /** A volume by its name, made anew each time. */
  find(name: string): VolumeDefinition | undefined {
    const place = this.#places.get(name);
    if (place === undefined) return undefined;
    const { bytes, view } = this.#batches[Math.floor(place / (BATCH_SIZE + 1))] as Batch;
    const at = place % (BATCH_SIZE + 1);
    const labelRow = view.getUint32(at + 8, true);
    return volumeOf(name, this.#directory, {
      facts: readFacts(view, at + FACTS_AT),
      image: this.#shared[view.getUint32(at + 4, true)] as FoundImage,
      label: labelRow === NONE ? undefined : this.#shared[labelRow] as string,
      interrupted: bytes[at + 1] === 1,
    });
  }
}
