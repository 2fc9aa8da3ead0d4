/** A descriptor that is to outlive the process. It stays the caller's. */
export interface KeptObject {
  readonly name: string;
  readonly fd: number;
  /**
   * Whether it may lie in a queue with others, where the keeper has queues. Not a Unix socket: while any is
   * on its way in another, each close of a Unix socket on the whole host makes an older kernel look for
   * circles.
   */
  readonly queued?: boolean;
}

/** Where descriptors outlive the process. */
export interface DescriptorKeeper {
  /** Whether everything that was asked for is done. */
  readonly idle: boolean;
  /** @returns whether `done` was called before this returns */
  store(wanted: readonly KeptObject[], done: () => void): boolean;
  /** @returns whether it was still to be sent; then it is not kept, and never was */
  cancel(name: string): boolean;
  remove(name: string): void;
  leave(done: (reason: string | undefined) => void): void;
}
