import { encodeFrame, MessageType } from "../../src/chassis/wire/frame.ts";
import { LOCK_PROGRAM, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { testOwner } from "../support/lock_client.ts";
import { type Outcome, type Part, ScriptedClient } from "./scripted_client.ts";

/** A client in a script. */
export class Actor {
  readonly #client: ScriptedClient;
  #serial = 0;

  /** Connects to a socket. The daemon has not accepted yet. @throws SystemError */
  constructor(path: string) {
    this.#client = new ScriptedClient(path);
  }

  /** Sends a request and waits for what becomes of it. */
  *ask(procedure: number, encode: (writer: XdrWriter) => void, program = LOCK_PROGRAM): Part<Outcome> {
    const writer = new XdrWriter();
    encode(writer);
    const serial = this.#serial++;
    const header = { program, version: 1, procedure, type: MessageType.CALL, serial, status: 0 };
    this.#client.send(encodeFrame(header, writer.bytes));
    return yield* this.#client.answer(serial);
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
    this.#client.close();
  }
}
