import { SOCK_STREAM } from "../../src/os/constants.ts";
import { EAGAIN } from "../../src/os/errno.ts";
import { must } from "../../src/os/system_error.ts";
import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { decodeRpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { XdrReader, type XdrWriter } from "../../src/chassis/wire/xdr.ts";
import { ConnectProcedure } from "../../src/storaged/wire/remote_protocol.ts";
import { FrameSplitter } from "../support/frame_splitter.ts";
import { kernel } from "../support/kernel.ts";
import { remoteFrame } from "../support/storage_stage.ts";
import type { Outcome, Part } from "./actor.ts";

/** How long an answer may take, in turns of an idle daemon of {@link TURN} ms: a helper may have to start. */
const PATIENCE = 2000;
const TURN = 5;
const NOTHING = () => {};

const chunk = new Uint8Array(65536);

/** A client of the storage daemon in a script. */
export class StorageActor {
  readonly #fd: number;
  readonly #splitter = new FrameSplitter();
  #serial = 0;
  #open = true;

  /** Connects to a socket. The daemon has not accepted yet. @throws SystemError */
  constructor(path: string) {
    this.#fd = must(kernel.socket(SOCK_STREAM, false), "socket", path);
    must(kernel.connect(this.#fd, path), "connect", path);
  }

  /** Calls a procedure, and waits for what becomes of it. */
  *ask(procedure: number, encode: (writer: XdrWriter) => void = NOTHING): Part<Outcome> {
    kernel.send(this.#fd, remoteFrame(procedure, ++this.#serial, encode));
    return yield* this.#answer();
  }

  /** Uploads a text: the call, one packet, and the end. */
  *upload(procedure: number, encode: (writer: XdrWriter) => void, text: string): Part<Outcome> {
    const begun = yield* this.ask(procedure, encode);
    if (begun.kind !== "ok") return begun;
    const { STREAM } = MessageType;
    const packet = (writer: XdrWriter) => writer.opaque(new TextEncoder().encode(text));
    kernel.send(this.#fd, remoteFrame(procedure, this.#serial, packet, STREAM, MessageStatus.CONTINUE));
    kernel.send(this.#fd, remoteFrame(procedure, this.#serial, NOTHING, STREAM));
    return yield* this.#answer();
  }

  /** Downloads everything up to the end of the stream. */
  *download(procedure: number, encode: (writer: XdrWriter) => void): Part<Outcome> {
    const begun = yield* this.ask(procedure, encode);
    if (begun.kind !== "ok") return begun;
    for (;;) {
      const packet = yield* this.#answer();
      if (packet.kind !== "ok") return packet;
      if (packet.payload.length === 0) break;
    }
    kernel.send(this.#fd, remoteFrame(procedure, this.#serial, NOTHING, MessageType.STREAM));
    return yield* this.#answer();
  }

  /** What every client begins with. */
  *begin(): Part<Outcome> {
    const listed = yield* this.ask(ConnectProcedure.AUTH_LIST);
    if (listed.kind !== "ok") return listed;
    return yield* this.ask(ConnectProcedure.OPEN, (writer) => {
      writer.optionalString("storage:///session");
      writer.u32(0);
    });
  }

  *#answer(): Part<Outcome> {
    for (let turn = 0; turn < PATIENCE; turn++) {
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        if (frame.header.status !== MessageStatus.ERROR) return { kind: "ok", payload: frame.payload };
        const { code, message } = decodeRpcFailure(new XdrReader(frame.payload));
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

  readonly #frames: ReturnType<FrameSplitter["push"]> = [];

  /** Ends the connection. */
  close(): void {
    if (this.#open) kernel.close(this.#fd);
    this.#open = false;
  }
}
