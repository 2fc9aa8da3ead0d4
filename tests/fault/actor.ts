import { SOCK_STREAM } from "../../src/os/constants.ts";
import { EAGAIN } from "../../src/os/errno.ts";
import { must } from "../../src/os/system_error.ts";
import { encodeFrame, MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { LOCK_PROGRAM, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { decodeRpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { XdrReader, XdrWriter } from "../../src/chassis/wire/xdr.ts";
import { FrameSplitter } from "../support/frame_splitter.ts";
import { kernel } from "../support/kernel.ts";
import { testOwner } from "../support/lock_client.ts";

/** How long an answer may take, in turns of an idle daemon of {@link TURN} ms. */
const PATIENCE = 400;
/** Milliseconds that an idle daemon waits for an event before the script goes on. */
export const TURN = 5;

/** What became of a request. */
export type Outcome =
  | { readonly kind: "ok"; readonly payload: Uint8Array }
  | { readonly kind: "refused"; readonly code: number; readonly message: string }
  /** The daemon has closed the connection. */
  | { readonly kind: "closed" }
  | { readonly kind: "silent" };

/** Part of a script that has a result. */
export type Part<T> = Generator<number, T, void>;

const chunk = new Uint8Array(65536);

/** A client in a script. */
export class Actor {
  readonly #fd: number;
  readonly #splitter = new FrameSplitter();
  #serial = 0;
  #open = true;

  /** Connects to a socket. The daemon has not accepted yet. @throws SystemError */
  constructor(path: string) {
    this.#fd = must(kernel.socket(SOCK_STREAM, false), "socket", path);
    must(kernel.connect(this.#fd, path), "connect", path);
  }

  /** Sends a request and waits for what becomes of it. */
  *ask(procedure: number, encode: (writer: XdrWriter) => void, program = LOCK_PROGRAM): Part<Outcome> {
    const writer = new XdrWriter();
    encode(writer);
    const serial = this.#serial++;
    const header = { program, version: 1, procedure, type: MessageType.CALL, serial, status: 0 };
    kernel.send(this.#fd, encodeFrame(header, writer.bytes));
    for (let turn = 0; turn < PATIENCE; turn++) {
      yield TURN;
      const received = kernel.receiveMessage(this.#fd, chunk, false);
      if (received === -EAGAIN) continue;
      if (typeof received === "number" || received.length === 0) return { kind: "closed" };
      const [reply] = this.#splitter.push(chunk.subarray(0, received.length));
      if (reply === undefined) continue;
      if (reply.header.serial !== serial) {
        throw new Error(`Reply to ${reply.header.serial}, wanted ${serial}`);
      }
      if (reply.header.status === MessageStatus.OK) return { kind: "ok", payload: reply.payload };
      const { code, message } = decodeRpcFailure(new XdrReader(reply.payload));
      return { kind: "refused", code, message };
    }
    return { kind: "silent" };
  }

  /** REGISTER. */
  register(pid: number): Part<Outcome> {
    const owner = testOwner(pid);
    return this.ask(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags: 0 }));
  }

  /** One of the four procedures on a resource. */
  resource(procedure: number, path: string, name: string, flags = 0): Part<Outcome> {
    return this.ask(procedure, (writer) => encodeResource(writer, { path, name, flags }));
  }

  /** Ends the connection. */
  close(): void {
    if (this.#open) kernel.close(this.#fd);
    this.#open = false;
  }
}
