import { InvariantError } from "../../base/invariant.ts";
import type { Mapping, SocketSys } from "../../os/sys.ts";
import { type Exchange, INPUT_SIZE, OUTPUT_SIZE } from "./exchange.ts";

/** Bytes of native memory a {@link PlainExchange} takes. */
export const PLAIN_EXCHANGE_SIZE = INPUT_SIZE + OUTPUT_SIZE;

/**
 * An exchange for connections that end with the process: it counts nothing for a next one, which makes it the
 * faster one.
 */
export class PlainExchange implements Exchange {
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  readonly turn = 0;
  readonly lastReply = { number: 0, turn: 0, end: 0 };
  readonly #sys: Pick<SocketSys, "receiveInto" | "sendFrom">;
  readonly #received: Deno.PointerValue;
  readonly #sent: Deno.PointerValue;

  /** @param memory mapping of {@link PLAIN_EXCHANGE_SIZE} bytes; must outlive the exchange */
  constructor(sys: Pick<SocketSys, "receiveInto" | "sendFrom">, memory: Mapping) {
    this.#sys = sys;
    this.input = memory.bytes.subarray(0, INPUT_SIZE);
    this.output = memory.bytes.subarray(INPUT_SIZE, PLAIN_EXCHANGE_SIZE);
    this.#received = memory.pointer(0);
    this.#sent = memory.pointer(INPUT_SIZE);
  }

  receive(fd: number, limit: number): number {
    return this.#sys.receiveInto(fd, this.#received, limit);
  }

  serveStored(): void {}

  promiseReply(): number {
    throw new InvariantError("A reply was promised to a journal, and nothing counts the replies");
  }

  withdrawReply(): void {}

  beginReply(): void {}

  send(fd: number, length: number): number {
    return this.#sys.sendFrom(fd, this.#sent, length);
  }

  finishReply(): void {}
}
