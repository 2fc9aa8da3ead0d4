import { joined } from "../../base/joined.ts";
import type { DurableClient, InputBytes } from "../rpc/durability.ts";

/**
 * What a record says of the bytes of clients. They are only valid until what produced the operation changes.
 * Turns, ends and replies are those of the exchange (src/chassis/rpc/counted_exchange.ts): they tie what is
 * in the log to what is in the exchange area.
 */
export type ByteOperation =
  /** All received bytes of a client that are not served. Nothing is left of the turn. */
  | {
    readonly op: "input";
    readonly key: DurableClient["key"];
    readonly bytes: Uint8Array;
    readonly dropped: number;
    readonly turn: number;
  }
  /** More of them. */
  | {
    readonly op: "added";
    readonly key: number;
    readonly bytes: Uint8Array;
    readonly dropped: number;
    readonly turn: number;
  }
  /** All bytes to be sent to a client; what was sent in replies up to `reply` is no part of them. */
  | {
    readonly op: "output";
    readonly key: number;
    readonly bytes: Uint8Array;
    readonly reply: number;
    readonly turn: number;
    readonly end: number;
  }
  /**
   * A request was served: `front` bytes of the client's input, or, when 0, the bytes of the turn up to `end`.
   */
  | {
    readonly op: "served";
    readonly key: number;
    readonly front: number;
    readonly turn: number;
    readonly end: number;
    /** Number that its reply is sent with. */
    readonly reply: number;
    readonly bytes: Uint8Array;
  }
  /** A client has gone, with its bytes. */
  | { readonly op: "gone"; readonly key: number };

/** What the records of a log add up to, of the bytes of clients. */
export class ClientBytes {
  /** By client; a client's bytes may come before the client. In pieces, because a slow client's are many. */
  readonly #inputs = new Map<number, { pieces: Uint8Array[]; dropped: number }>();
  readonly outputs = new Map<number, Uint8Array>();
  /** The turn whose bytes are all accounted for. */
  closedTurn = 0;
  /** What was served of a turn. */
  consumed = { turn: 0, end: 0 };
  /** Replies up to this number are sent, or what is left of them is in {@link outputs}. */
  done = 0;
  /** Reply of the last served request. */
  reply: { key: number; number: number; bytes: Uint8Array } | undefined;

  /** By client, what was received of it and not served. */
  get inputs(): Map<number, InputBytes> {
    const inputs = new Map<number, InputBytes>();
    for (const [key, { pieces, dropped }] of this.#inputs) {
      inputs.set(key, { bytes: joined(pieces), dropped });
    }
    return inputs;
  }

  /** A snapshot begins, of a moment between these in the exchange. */
  begin(turn: number, reply: number): void {
    this.closedTurn = turn;
    this.done = reply;
  }

  /** Takes one operation in. */
  apply(operation: ByteOperation): void {
    switch (operation.op) {
      case "gone":
        this.#inputs.delete(operation.key);
        this.outputs.delete(operation.key);
        return;
      case "input":
        this.closedTurn = operation.turn;
        return this.#setInput(operation.key, [operation.bytes], operation.dropped);
      case "added": {
        const { key, bytes, dropped: more } = operation;
        this.closedTurn = operation.turn;
        const { pieces, dropped } = this.#inputs.get(key) ?? { pieces: [], dropped: 0 };
        pieces.push(bytes);
        return this.#setInput(key, pieces, dropped + more);
      }
      case "output": {
        const { key, bytes, turn, end } = operation;
        this.done = operation.reply;
        if (turn > 0) this.consumed = { turn, end };
        if (bytes.length === 0) this.outputs.delete(key);
        else this.outputs.set(key, bytes);
        return;
      }
      case "served": {
        const { key, bytes, front, turn, end } = operation;
        this.reply = { key, number: operation.reply, bytes };
        const input = this.#inputs.get(key);
        if (front === 0) this.consumed = { turn, end };
        else if (input !== undefined) this.#setInput(key, [joined(input.pieces).slice(front)], input.dropped);
        return;
      }
    }
  }

  #setInput(key: number, pieces: Uint8Array[], dropped: number): void {
    if (pieces.every(({ length }) => length === 0) && dropped === 0) this.#inputs.delete(key);
    else this.#inputs.set(key, { pieces, dropped });
  }
}
