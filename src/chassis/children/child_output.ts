import { EAGAIN } from "../../os/errno.ts";
import type { FileSys } from "../../os/sys.ts";
import { decodeText } from "../../os/text.ts";

const FIRST_CAPACITY = 4096;

/** What a child writes into one pipe, and the read end of that. */
export class ChildOutput {
  /** Stays its maker's, who closes it. */
  readonly fd: number;
  readonly #sys: Pick<FileSys, "read">;
  readonly #most: number;
  readonly #told: (text: string) => void;
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /**
   * @param fd non-blocking
   * @param most bytes that are kept
   * @param told gets what comes, as it comes
   */
  constructor(sys: Pick<FileSys, "read">, fd: number, most: number, told: (text: string) => void) {
    this.#sys = sys;
    this.fd = fd;
    this.#most = most;
    this.#told = told;
    this.#bytes = new Uint8Array(Math.min(most, FIRST_CAPACITY));
  }

  /** All that has come. */
  get text(): string {
    return decodeText(this.#bytes, 0, this.#length);
  }

  /** Whether as much has come as is kept, so that nothing more is read. */
  get full(): boolean {
    return this.#length >= this.#most;
  }

  /** Takes what is there. @returns whether more may come */
  read(): boolean {
    while (!this.full) {
      if (this.#length === this.#bytes.length) {
        this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(Math.min(this.#most, this.#length * 2)));
      }
      const count = this.#sys.read(this.fd, this.#bytes.subarray(this.#length));
      if (count === -EAGAIN) return true;
      if (count <= 0) return false;
      this.#length += count;
      this.#told(decodeText(this.#bytes, this.#length - count, this.#length));
    }
    return false;
  }
}
