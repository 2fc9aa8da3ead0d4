import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { ConnectProcedure } from "../../src/storaged/wire/remote_protocol.ts";
import { remoteFrame } from "../support/storage_stage.ts";
import { type Outcome, type Part, ScriptedClient } from "./scripted_client.ts";

const NOTHING = () => {};

/** A client of the storage daemon in a script. */
export class StorageActor {
  readonly #client: ScriptedClient;
  #serial = 0;

  /** Connects to a socket. The daemon has not accepted yet. @throws SystemError */
  constructor(path: string) {
    this.#client = new ScriptedClient(path);
  }

  /** Calls a procedure, and waits for what becomes of it. */
  *ask(procedure: number, encode: (writer: XdrWriter) => void = NOTHING): Part<Outcome> {
    this.#client.send(remoteFrame(procedure, ++this.#serial, encode));
    return yield* this.#client.answer(this.#serial);
  }

  /** Uploads a text: the call, one packet, and the end. */
  *upload(procedure: number, encode: (writer: XdrWriter) => void, text: string): Part<Outcome> {
    const begun = yield* this.ask(procedure, encode);
    if (begun.kind !== "ok") return begun;
    const { STREAM } = MessageType;
    const packet = (writer: XdrWriter) => writer.opaque(new TextEncoder().encode(text));
    this.#client.send(remoteFrame(procedure, this.#serial, packet, STREAM, MessageStatus.CONTINUE));
    this.#client.send(remoteFrame(procedure, this.#serial, NOTHING, STREAM));
    return yield* this.#client.answer(this.#serial);
  }

  /** Downloads everything up to the end of the stream. */
  *download(procedure: number, encode: (writer: XdrWriter) => void): Part<Outcome> {
    const begun = yield* this.ask(procedure, encode);
    if (begun.kind !== "ok") return begun;
    for (;;) {
      const packet = yield* this.#client.answer(this.#serial);
      if (packet.kind !== "ok") return packet;
      if (packet.payload.length === 0) break;
    }
    this.#client.send(remoteFrame(procedure, this.#serial, NOTHING, MessageType.STREAM));
    return yield* this.#client.answer(this.#serial);
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

  /** Ends the connection. */
  close(): void {
    this.#client.close();
  }
}
