import type { StorageSys } from "./storage_sys.ts";

/** Bytes of entries that the kernel is asked for at once. */
const BUFFER = 65536;
/** Where an entry of getdents64(2) has its own length, its type, and its name. */
const LENGTH_AT = 16;
const TYPE_AT = 18;
const NAME_AT = 19;
/** Types of FIFOs, character devices and sockets; a file system may also say nothing. */
const NO_DATA = [1, 2, 12];
const SEEK_SET = 0;

/** The names in a directory that is open, one after the other, without `.` and `..`. */
export class DirectoryEntries {
  readonly #storage: StorageSys;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #view = new DataView(this.#buffer.buffer);
  #at = 0;
  #length = 0;
  #dataless = false;

  /** @param fd of the directory; it stays the caller's, and is read from its beginning */
  constructor(storage: StorageSys, fd: number) {
    this.#storage = storage;
    this.#fd = fd;
    storage.seek(fd, 0, SEEK_SET);
  }

  /**
   * The next name.
   *
   * @returns its bytes and a NUL, valid until the next call; undefined behind the last one; -errno
   */
  next(): Uint8Array | number | undefined {
    for (;;) {
      if (this.#at >= this.#length) {
        const length = this.#storage.directoryEntries(this.#fd, this.#buffer);
        if (length <= 0) return length < 0 ? length : undefined;
        this.#at = 0;
        this.#length = length;
      }
      const start = this.#at + NAME_AT;
      this.#dataless = NO_DATA.includes(this.#buffer[this.#at + TYPE_AT] as number);
      this.#at += this.#view.getUint16(this.#at + LENGTH_AT, true);
      const end = this.#buffer.indexOf(0, start);
      if (!this.#isDots(start, end)) return this.#buffer.subarray(start, end + 1);
    }
  }

  /**
   * Whether the last name is known to be that of something without data: a FIFO, a socket or a character
   * device, to which already an open may do something.
   */
  get dataless(): boolean {
    return this.#dataless;
  }

  /** `.` or `..` */
  #isDots(start: number, end: number): boolean {
    const DOT = 0x2e;
    return end - start <= 2 && this.#buffer[start] === DOT &&
      (end - start === 1 || this.#buffer[end - 1] === DOT);
  }
}
