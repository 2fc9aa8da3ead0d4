import type { Connection } from "./connection.ts";

/** What a reply answers. */
export interface AnsweredRequest {
  /** The reply's bytes; valid until `settle` returns. */
  readonly reply: Uint8Array;
  /** Bytes of the request that are kept. */
  readonly length: number;
  /** Whether it is answered in the turn in which it was dispatched. */
  readonly atOnce: boolean;
}

/**
 * What became of a request: its reply may be sent, and no journal has it (`volatile`); its reply may be sent,
 * and a journal has what it did and the reply itself (`recorded`); or neither is so yet (`later`).
 */
export type Settled = "volatile" | "recorded" | "later";

/** Makes what a request did, and its reply, durable before the reply is sent. */
export interface Durability {
  /** @param resume called once it is recorded, if the result is `later` */
  settle(connection: Connection, request: AnsweredRequest, resume: () => void): Settled;
  /**
   * Bytes of this client that were received but not served have changed; `added` are the new ones when
   * nothing else has.
   */
  inputChanged(connection: Connection, added?: { bytes: Uint8Array; dropped: number }): void;
  /** Bytes of this client that were not sent have changed. */
  outputChanged(connection: Connection): void;
}
