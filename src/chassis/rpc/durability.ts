import type { BegunReply } from "./exchange.ts";

/** A client, as far as what is kept of it for a next life is concerned. */
export interface DurableClient {
  /** Names it in the daemon's life, over all servers, re-execs and crashes. */
  readonly key: number;
  readonly closed: boolean;
  /** Received bytes whose requests are not durable. `dropped` more of the first message were not kept. */
  readonly unsettled: InputBytes;
  /** Reply bytes that were not sent yet. */
  readonly unsent: Uint8Array;
}

/** Received bytes, and how many of their first message were not kept behind them. */
export interface InputBytes {
  readonly bytes: Uint8Array;
  readonly dropped: number;
}

/** A request that is answered, before the first byte of its reply is sent. */
export interface AnsweredRequest {
  /** Key of its client. */
  readonly key: number;
  /** The reply's bytes; valid until `settle` returns. */
  readonly reply: Uint8Array;
  /** Bytes of the request that are kept. */
  readonly length: number;
  /** Whether it is answered in the turn in which it was dispatched. */
  readonly atOnce: boolean;
  /** Current turn of the exchange. */
  readonly turn: number;
  /** Where the request ends, in bytes from the start of its turn's source. */
  readonly end: number;
}

/**
 * What became of a request. `volatile`: its reply may be sent, and no journal has it. `promised`: its reply
 * may be sent as the next of all replies, and a journal has what it did and the reply. `later`: neither is so
 * yet.
 */
export type Settled = "volatile" | "promised" | "later";

/** Makes what a request did, and its reply, durable before the reply is sent. */
export interface Durability {
  /**
   * @param resume called once if the result is `later`: with what became of it then. The reply is begun, or
   * withdrawn from the exchange, before it returns.
   */
  settle(request: AnsweredRequest, resume: (settled: "volatile" | "promised") => void): Settled;
  /**
   * Bytes of this client that were received but not served have changed.
   *
   * @param turn current turn of the exchange
   * @param added the new ones, when nothing else has changed
   */
  inputChanged(client: DurableClient, turn: number, added?: InputBytes): void;
  /**
   * Bytes of this client that were not sent have changed.
   *
   * @param last the reply that was begun last, whose rest they are
   */
  outputChanged(client: DurableClient, last: BegunReply): void;
}
