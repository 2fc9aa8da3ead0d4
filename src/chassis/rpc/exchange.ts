/** Bytes one receive can bring. */
export const INPUT_SIZE = 65536;
/** Bytes one send can take. */
export const OUTPUT_SIZE = 65536;

/** Answers no message of the current turn. */
export const OUTSIDE_TURN = 0;

/**
 * Where the bytes of a reply are beside the exchange: nowhere, in a record of what is still to be sent, or in
 * a record that names the reply by the number that {@link Exchange.promiseReply} gave.
 */
export type ReplyBytes = "volatile" | "recorded" | "promised";

/** A reply that was begun. */
export interface BegunReply {
  /** Counts the replies of the daemon's life. */
  readonly number: number;
  /** Turn of the message that it answers, 0 when it answers none of a turn. */
  readonly turn: number;
  /** End of that message. */
  readonly end: number;
}

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
  /** Number of the current turn. */
  readonly turn: number;
  /** The reply that was begun last. */
  readonly lastReply: BegunReply;

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
   * Number of the next reply, for a record that is written before the reply is begun. Until that reply is
   * begun as `promised`, or withdrawn, no other may be.
   */
  promiseReply(): number;

  /** The promised reply, if any, will not be begun: its client has gone. */
  withdrawReply(): void;

  /**
   * Begins a reply; what is sent until {@link finishReply} belongs to it.
   *
   * @param client key of who gets it
   * @param answers end of the message of the current turn that it answers, in bytes from the start of the
   * turn's source; {@link OUTSIDE_TURN} when it answers none of the current turn
   * @throws InvariantError when another reply was promised, or this one was not
   */
  beginReply(client: number, answers: number, bytes: ReplyBytes): void;

  /**
   * Sends the first `length` bytes of {@link output} as the next part of the reply.
   *
   * @returns how many were taken, or -errno
   */
  send(fd: number, length: number): number;

  /** The reply is wholly sent. */
  finishReply(): void;
}
