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
  /** Makes bytes up to `end` usable. @throws SystemError when there is no room; then nothing was taken */
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

/** The memory is grown by so many bytes at a time, where there is room for them. */
const STEP = 256 * 1024;
/** Where there is not, it is grown by whole ones of these. */
const PAGE = 4096;
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
    if (end > this.#size) this.#grow(end);
    this.#remap();
  }

  shrink(end: number): void {
    const wanted = Math.ceil(end / PAGE) * PAGE;
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

  /** Takes no more than what is needed from a file system that is nearly full: others live on it too. */
  #grow(end: number): void {
    const [wanted, least] = [STEP, PAGE].map((unit) => Math.ceil(end / unit) * unit) as [number, number];
    const failed = this.#extend(wanted);
    if (failed === undefined) return;
    const refused = least < wanted ? this.#extend(least) : failed;
    if (refused !== undefined) throw refused;
  }

  /** Writes the file on to a new end: all the way, or what was written is given back. */
  #extend(wanted: number): SystemError | undefined {
    const zeros = new Uint8Array(Math.min(STEP, wanted - this.#size));
    for (let at = this.#size; at < wanted;) {
      const written = this.#sys.pwrite(this.fd, zeros.subarray(0, wanted - at), at);
      if (written <= 0) {
        // Where that fails too the file is longer than it is known to be, by zeros.
        this.#sys.ftruncate(this.fd, this.#size);
        // Nothing written and no error: there is no sense in going on.
        return new SystemError("pwrite", "journal", written === 0 ? EINVAL : written);
      }
      at += written;
    }
    this.#size = wanted;
    return undefined;
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
