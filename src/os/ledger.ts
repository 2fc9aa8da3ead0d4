import type { FileSys } from "./sys.ts";

/**
 * Which descriptors this process owns, and for what.
 *
 * Every descriptor has one owner. Taking it twice or closing what is not owned is a defect and throws,
 * because closing a stranger's descriptor may free a lock.
 */
export class DescriptorLedger {
  readonly #sys: Pick<FileSys, "close">;
  /** By descriptor: numbers are small and dense, and a map would cost several times as much for each. */
  readonly #purposes: (string | undefined)[] = [];
  #size = 0;
  #mark = 0;
  #step = Infinity;
  #changed = () => {};

  constructor(sys: Pick<FileSys, "close">) {
    this.#sys = sys;
  }

  /** How many descriptors are owned. */
  get size(): number {
    return this.#size;
  }

  /** From now on `changed` is told each time that `step` more or fewer are owned than the last time. */
  onChange(step: number, changed: () => void): void {
    this.#mark = this.#size;
    this.#step = step;
    this.#changed = changed;
  }

  /** Owned descriptors with their purposes. */
  *entries(): IterableIterator<[number, string]> {
    for (const [fd, purpose] of this.#purposes.entries()) {
      if (purpose !== undefined) yield [fd, purpose];
    }
  }

  /** Whether a descriptor is owned. */
  has(fd: number): boolean {
    return this.#purposes[fd] !== undefined;
  }

  /**
   * Records ownership of an open descriptor.
   *
   * @param fd an open descriptor
   * @param purpose what it is for, a constant word such as `client`
   * @returns fd
   * @throws Error when it is owned already
   */
  own(fd: number, purpose: string): number {
    const other = this.#purposes[fd];
    if (other !== undefined) {
      throw new Error(`Own descriptor ${fd} as ${purpose}: it is already owned as ${other}`);
    }
    this.#purposes[fd] = purpose;
    this.#size++;
    if (this.#size - this.#mark >= this.#step) this.#tell();
    return fd;
  }

  /**
   * Closes an owned descriptor. It is gone whatever close(2) answers: Linux frees the number even on error.
   *
   * @returns 0 or -errno of close(2)
   * @throws Error when it is not owned
   */
  close(fd: number): number {
    if (!this.has(fd)) throw new Error(`Close descriptor ${fd}: it is not owned here`);
    this.#purposes[fd] = undefined;
    this.#size--;
    if (this.#mark - this.#size >= this.#step) this.#tell();
    return this.#sys.close(fd);
  }

  #tell(): void {
    this.#mark = this.#size;
    this.#changed();
  }
}
