import type { Peer, Program, Reply } from "../../chassis/rpc/program.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";
import type { Download, Upload } from "../model/storage_service.ts";

/** A client as the programs see it: who it is, what it may, and how it is reached without having asked. */
export interface ClientLink extends Peer {
  /** Whether it may only look: it came to the read-only socket, or asked for that when it opened. */
  readonly readOnly: boolean;
  /** Whether it has proved that it may be served. */
  readonly authenticated: boolean;
  /** From now on it may only look. */
  restrict(): void;
  /** It has proved that it may be served. */
  authenticate(): void;
  /** From now on a client that is silent is asked whether it is still there. */
  keepAlive(): void;
  /**
   * Sends a message that answers nothing. A client that does not read what it is sent loses its connection.
   *
   * @param program number of the program
   */
  tell(program: number, procedure: number, encode: (writer: XdrWriter) => void): void;
}

/** How a procedure answers that may begin a stream. */
export interface StreamReply extends Reply {
  /** Success, and what the client sends on this call's stream goes into a volume. */
  upload(upload: Upload): void;
  /** Success, and a volume is sent on this call's stream. */
  download(download: Download): void;
}

/** One connection's use of one program. */
export interface ClientSession {
  readonly session: unknown;
  /** Runs a procedure; false when there is none of that number. */
  call(procedure: number, args: XdrReader, reply: StreamReply): boolean;
  disconnect(): void;
}

/** A program as the storage server sees it. */
export interface ClientProgram extends Pick<Program, "name" | "number" | "version" | "procedureNames"> {
  /** Most payload bytes that any procedure can need from this client. */
  payloadLimit(client: ClientLink): number;
  connect(client: ClientLink): ClientSession;
}
