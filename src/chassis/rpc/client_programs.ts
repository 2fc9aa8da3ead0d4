import { FRAME_MIN, type Header, MessageType } from "../wire/frame.ts";
import { XdrReader } from "../wire/xdr_reader.ts";
import { dispatch } from "./dispatch.ts";
import type { PendingReply } from "./pending_reply.ts";
import type { Peer, Program, ProgramConnection } from "./program.ts";

/** Where a call's arguments are: in `bytes`, with its frame. */
export interface CallFrame {
  readonly bytes: Uint8Array;
  /** Where the frame begins. */
  readonly at: number;
  /** Where it ends, as far as it was kept. */
  readonly end: number;
}

/** A client's use of the programs of its server. */
export class ClientPrograms {
  readonly #programs: readonly Program[];
  readonly #connections: readonly ProgramConnection[];
  readonly #reader = new XdrReader();

  constructor(programs: readonly Program[], peer: Peer) {
    this.#programs = programs;
    this.#connections = programs.map((program) => program.connect(peer));
  }

  /** Session of the program with this number; undefined when the server does not offer it. */
  session(number: number): unknown {
    return this.#connections[this.#programs.findIndex((program) => program.number === number)]?.session;
  }

  /** The program that a call means; undefined when the server does not offer it. */
  find({ program, version }: Header): Program | undefined {
    return this.#programs.find((each) => each.number === program && each.version === version);
  }

  /**
   * Runs the procedure that a call names, or refuses the call.
   *
   * @param program what {@link find} has found
   * @returns undefined, or what was thrown that is no refusal: then the reply may have been given or not
   */
  call(
    program: Program | undefined,
    { bytes, at, end }: CallFrame,
    reply: PendingReply,
  ): { readonly error: unknown } | undefined {
    const withFds = reply.header.type === MessageType.CALL_WITH_FDS;
    this.#reader.reset(bytes, at + FRAME_MIN + (withFds ? 4 : 0), end);
    const connection = program === undefined ? undefined : this.#connections[this.#programs.indexOf(program)];
    return dispatch(connection, this.#reader, reply);
  }

  /** The connection has ended. */
  disconnect(): void {
    for (const connection of this.#connections) connection.disconnect();
  }
}
