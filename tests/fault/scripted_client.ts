import { SOCK_STREAM } from "../../src/os/constants.ts";
import { EAGAIN } from "../../src/os/errno.ts";
import { must } from "../../src/os/system_error.ts";
import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { decodeRpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import { FrameSplitter } from "../support/frame_splitter.ts";
import { kernel } from "../support/kernel.ts";

/** Milliseconds that an idle daemon waits for an event before the script goes on. */
export const TURN = 5;

/**
 * So many turns of an idle daemon are a minute: what has not come by then does not come. A program that the
 * daemon has started takes its time on a busy machine.
 */
export const MINUTE_OF_TURNS = 60_000 / TURN;

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

/** The connection of a client in a script. */
export class ScriptedClient {
  readonly #fd: number;
  readonly #splitter = new FrameSplitter();
  readonly #frames: ReturnType<FrameSplitter["push"]> = [];
  #open = true;

  /**
   * Connects to a socket. The daemon has not accepted yet.
   *
   * @throws SystemError
   */
  constructor(path: string) {
    this.#fd = must(kernel.socket(SOCK_STREAM, false), "socket", path);
    must(kernel.connect(this.#fd, path), "connect", path);
  }

  send(frame: Uint8Array): void {
    kernel.send(this.#fd, frame);
  }

  /** Waits for what becomes of the request with this serial number. */
  *answer(serial: number): Part<Outcome> {
    for (let turn = 0; turn < MINUTE_OF_TURNS; turn++) {
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        const { header, payload } = frame;
        if (header.serial !== serial) throw new Error(`Reply to ${header.serial}, wanted ${serial}`);
        const isPacket = header.type === MessageType.STREAM && header.status === MessageStatus.CONTINUE;
        if (header.status === MessageStatus.OK || isPacket) return { kind: "ok", payload };
        const { code, message } = decodeRpcFailure(new XdrReader(payload));
        return { kind: "refused", code, message };
      }
      yield TURN;
      const received = kernel.receiveMessage(this.#fd, chunk, false);
      if (received === -EAGAIN) continue;
      if (typeof received === "number" || received.length === 0) return { kind: "closed" };
      this.#frames.push(...this.#splitter.push(chunk.slice(0, received.length)));
    }
    return { kind: "silent" };
  }

  /** Ends the connection. */
  close(): void {
    if (this.#open) kernel.close(this.#fd);
    this.#open = false;
  }
}
