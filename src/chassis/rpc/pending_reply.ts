import type { Header } from "../wire/frame.ts";
import { encodeRpcFailure, type RpcFailure } from "../wire/rpc_error.ts";
import type { XdrWriter } from "../wire/xdr.ts";
import type { Connection } from "./connection.ts";
import type { Program, Reply } from "./program.ts";

/** The reply to one request. */
export class PendingReply implements Reply {
  readonly header: Header;
  readonly program: Program | undefined;
  readonly started: number;
  readonly #connection: Connection;
  #given = false;

  constructor(connection: Connection, header: Header, program: Program | undefined, started: number) {
    this.#connection = connection;
    this.header = { ...header };
    this.program = program;
    this.started = started;
  }

  /** Whether it was answered. */
  get given(): boolean {
    return this.#given;
  }

  ok(encode?: (writer: XdrWriter) => void): void {
    this.#give(0, encode, false);
  }

  okAndClose(): void {
    this.#give(0, undefined, true);
  }

  fail(failure: RpcFailure): void {
    this.#give(failure.code, (writer) => encodeRpcFailure(writer, failure), false);
  }

  #give(code: number, encode: ((writer: XdrWriter) => void) | undefined, close: boolean): void {
    if (this.#given) throw new Error(`Reply to procedure ${this.header.procedure}: it was answered before`);
    this.#given = true;
    this.#connection.answer(this, code, encode, close);
  }
}
