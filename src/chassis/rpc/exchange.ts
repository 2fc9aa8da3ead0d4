/** Bytes one receive can bring. */
export const INPUT_SIZE = 65536;
/** Bytes one send can take. */
export const OUTPUT_SIZE = 65536;

/**
 * The memory through which all bytes of all clients pass, one receive or send at a time.
 *
 * A turn begins with what one client sent, and ends when its requests are served or put aside.
 */
export interface Exchange {
  /** Bytes received last; valid until the next {@link receive}. */
  readonly input: Uint8Array;
  /** Where a reply is written before {@link send}. */
  readonly output: Uint8Array;
  /**
   * End of the message in service, in bytes from the start of the turn's source. Set before it is dispatched.
   */
  end: number;
  /** Number of the current turn. */
  readonly turn: number;
  /** Number of the reply that was begun last. */
  readonly reply: number;
  /** Turn and end of what the reply that was begun last answers; turn 0 when it answers nothing of a turn. */
  readonly answered: { turn: number; end: number };

  /**
   * Begins a turn of a client and receives at most `limit` bytes into {@link input}. Descriptors sent along
   * are dropped by the kernel.
   *
   * @param client its key, unique in the daemon's life
   * @returns how many, 0 at end of stream, or -errno
   */
  receive(fd: number, limit: number, client: number): number;

  /** Begins a turn in which bytes are served that the client sent before. */
  serveStored(client: number): void;

  /**
   * Begins a reply; what is sent until {@link finishReply} belongs to it.
   *
   * @param answers whether it answers the message that ends at {@link end} of the current turn
   * @param recorded whether a journal has its bytes
   */
  beginReply(client: number, answers: boolean, recorded: boolean): void;

  /**
   * Sends the first `length` bytes of {@link output} as the next part of the reply.
   *
   * @returns how many were taken, or -errno
   */
  send(fd: number, length: number): number;

  /** The reply is wholly sent. */
  finishReply(): void;
}
