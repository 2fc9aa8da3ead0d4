import { emptyStatus, type FileSys, type Mapping, type MemorySys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { invariant } from "../../base/invariant.ts";
import { EINVAL } from "../../os/errno.ts";

/** Memory in which a journal lives. Every method that writes is one step that a kill may come after. */
export interface JournalMemory {
  /** Bytes that may be read. */
  readonly size: number;
  /** The bytes; valid until the next {@link reserve}. */
  readonly bytes: Uint8Array;
  /** Makes bytes up to `end` usable. @throws SystemError when there is no room */
  reserve(end: number): void;
  /** Gives memory beyond `end` back. */
  shrink(end: number): void;
  /** Writes a text as UTF-8. @returns how many bytes it took, at most 3 for each code unit */
  writeText(at: number, text: string): number;
  /** Writes bytes. */
  writeBytes(at: number, bytes: Uint8Array): void;
  /** Copies bytes of the memory itself. */
  copyBytes(to: number, from: number, length: number): void;
  /** Reads a 32-bit word at a multiple of 4. */
  readWord(at: number): number;
  /** Writes a 32-bit word at a multiple of 4, in one store. */
  writeWord(at: number, value: number): void;
  /** The same, after everything that was written before, whatever the compiler does. */
  commitWord(at: number, value: number): void;
  /** Writes a float64 at a multiple of 8, in one store. */
  writeNumber(at: number, value: number): void;
}

/** The memory is grown by so many bytes at a time. */
const STEP = 256 * 1024;
/** Address space that is mapped at first. */
const FIRST_MAPPING = 16 * 1024 * 1024;

type SharedSys = MemorySys & Pick<FileSys, "fstat" | "ftruncate" | "pwrite">;

/**
 * A file mapped into memory and shared with whoever else has it open: what is stored in it outlives a kill -9
 * of this process.
 *
 * The file is written before it is mapped over, because a store to a page that a full filesystem has no room
 * for would kill the process.
 */
export class SharedMemory implements JournalMemory {
  readonly #sys: SharedSys;
  readonly #first: Mapping;
  #mapping: Mapping;
  #words: Int32Array;
  #numbers: Float64Array;
  #size: number;
  /** Its descriptor, owned by whoever made the memory. */
  readonly fd: number;
  readonly #encoder = new TextEncoder();

  /** @throws SystemError when it cannot be mapped */
  constructor(sys: SharedSys, fd: number) {
    this.#sys = sys;
    this.fd = fd;
    const status = emptyStatus();
    must(sys.fstat(fd, status), "fstat", "journal");
    this.#size = status.size;
    this.#mapping = this.#map(FIRST_MAPPING);
    this.#first = this.#mapping;
    this.#words = new Int32Array(this.bytes.buffer);
    this.#numbers = new Float64Array(this.bytes.buffer);
    if (this.#size > FIRST_MAPPING) this.#remap();
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): Uint8Array {
    return this.#mapping.bytes;
  }

  /** The first mapping, whose addresses stay valid as long as the process lives. */
  get fixed(): Mapping {
    return this.#first;
  }

  reserve(end: number): void {
    if (end <= this.#size) return;
    const wanted = Math.ceil(end / STEP) * STEP;
    const zeros = new Uint8Array(STEP);
    while (this.#size < wanted) {
      const length = Math.min(STEP, wanted - this.#size);
      const written = must(
        this.#sys.pwrite(this.fd, zeros.subarray(0, length), this.#size),
        "pwrite",
        "journal",
      );
      // Nothing written and no error: there is no sense in going on.
      if (written === 0) throw new SystemError("pwrite", "journal", EINVAL);
      this.#size += written;
    }
    this.#remap();
  }

  shrink(end: number): void {
    const wanted = Math.ceil(end / STEP) * STEP;
    if (wanted >= this.#size) return;
    // Failing to give memory back harms nobody.
    if (this.#sys.ftruncate(this.fd, wanted) === 0) this.#size = wanted;
  }

  writeText(at: number, text: string): number {
    return this.#encoder.encodeInto(text, this.bytes.subarray(at)).written;
  }

  writeBytes(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, at);
  }

  copyBytes(to: number, from: number, length: number): void {
    this.bytes.copyWithin(to, from, from + length);
  }

  readWord(at: number): number {
    mustLieAt(at, 4);
    return this.#words[at / 4] as number;
  }

  writeWord(at: number, value: number): void {
    mustLieAt(at, 4);
    this.#words[at / 4] = value;
  }

  commitWord(at: number, value: number): void {
    mustLieAt(at, 4);
    Atomics.store(this.#words, at / 4, value);
  }

  writeNumber(at: number, value: number): void {
    mustLieAt(at, 8);
    this.#numbers[at / 8] = value;
  }

  /** More address space when the file has outgrown it. The old mapping stays: it shows the same pages. */
  #remap(): void {
    let length = this.bytes.length;
    if (this.#size <= length) return;
    while (length < this.#size) length *= 2;
    this.#mapping = this.#map(length);
    this.#words = new Int32Array(this.bytes.buffer);
    this.#numbers = new Float64Array(this.bytes.buffer);
  }

  #map(length: number): Mapping {
    const mapping = this.#sys.map(this.fd, length);
    if (typeof mapping === "number") throw new SystemError("mmap", "journal", mapping);
    return mapping;
  }
}

/** A store to a place between two elements would be lost without a word. */
function mustLieAt(at: number, alignment: number): void {
  invariant(at >= 0 && at % alignment === 0, "A word of the journal is not where words are");
}
