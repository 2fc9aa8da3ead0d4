import type { Header } from "../wire/frame.ts";
import { encodeRpcFailure, type RpcFailure } from "../wire/rpc_error.ts";
import type { XdrWriter } from "../wire/xdr_writer.ts";
import type { Program, Reply } from "./program.ts";

/** What is to be answered. */
export interface Answer {
  /** 0 for success, else the libvirt error code. */
  readonly code: number;
  /** Writes the payload; undefined: there is none. */
  readonly encode: ((writer: XdrWriter) => void) | undefined;
  /** Whether the connection ends behind the reply. */
  readonly close: boolean;
}

/** Who waits for a reply. */
export interface Answerable {
  answer(reply: PendingReply, answer: Answer): void;
}

const DONE: Answer = { code: 0, encode: undefined, close: false };
const DONE_AND_CLOSED: Answer = { code: 0, encode: undefined, close: true };

/** The reply to one request. */
export class PendingReply implements Reply {
  /** The request's header, a copy. */
  readonly header: Header;
  /** undefined when the server does not offer the program. */
  readonly program: Program | undefined;
  /** Monotonic milliseconds of the dispatch. */
  readonly started: number;
  readonly #service: Answerable;
  #given = false;

  /** @param service told once, with the answer */
  constructor(service: Answerable, header: Header, program: Program | undefined, started: number) {
    this.#service = service;
    this.header = { ...header };
    this.program = program;
    this.started = started;
  }

  /** Whether it was answered. */
  get given(): boolean {
    return this.#given;
  }

  get serial(): number {
    return this.header.serial;
  }

  ok(encode?: (writer: XdrWriter) => void): void {
    this.#give(encode === undefined ? DONE : { code: 0, encode, close: false });
  }

  okAndClose(): void {
    this.#give(DONE_AND_CLOSED);
  }

  fail(failure: RpcFailure): void {
    const encode = (writer: XdrWriter) => encodeRpcFailure(writer, failure);
    this.#give({ code: failure.code, encode, close: false });
  }

  #give(answer: Answer): void {
    if (this.#given) throw new Error(`Reply to procedure ${this.header.procedure}: it was answered before`);
    this.#given = true;
    this.#service.answer(this, answer);
  }
}
