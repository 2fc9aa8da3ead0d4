import { dispatch, unexpected } from "../../chassis/rpc/dispatch.ts";
import { type Answer, type Answerable, PendingReply } from "../../chassis/rpc/pending_reply.ts";
import { type Header, MessageStatus, MessageType } from "../../chassis/wire/frame.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { Download, Upload } from "../model/storage_service.ts";
import type { ClientLink, ClientProgram, ClientSession, StreamReply } from "./client_link.ts";
import type { ClientStreams } from "./client_streams.ts";
import { frameOf } from "./frames.ts";

/** What the calls of all clients of a server share. */
export interface CallParts {
  readonly programs: readonly ClientProgram[];
  /** How many calls of one client are served at once. */
  readonly mostCalls: () => number;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** @param code 0 for success, else the libvirt error code */
  readonly served: (program: string, procedure: string, code: number, milliseconds: number) => void;
}

/** What the calls of a connection need of it. */
export interface CallsHost {
  /** Sends a reply. @param close whether the connection ends behind it */
  reply(frame: Uint8Array, close: boolean): void;
  /** An error that nobody has foreseen. */
  crashed(error: unknown): void;
  /** Nothing sensible can be sent any more. */
  end(reason: string): void;
}

/** The reply to a call that may begin a stream. */
class CallReply extends PendingReply implements StreamReply {
  readonly #streams: ClientStreams;

  constructor(calls: Answerable, streams: ClientStreams, header: Readonly<Header>, started: number) {
    super(calls, header, undefined, started);
    this.#streams = streams;
  }

  upload(upload: Upload): void {
    const refusal = this.#streams.refusal(this.header.serial);
    // Answered when the volume is free again, whatever the client wants with it next.
    if (refusal !== undefined) return upload.abort(() => this.fail(refusal));
    this.#streams.beginUpload(this.header, upload);
    this.ok();
  }

  download(download: Download): void {
    const refusal = this.#streams.refusal(this.header.serial);
    if (refusal !== undefined) {
      download.close();
      return this.fail(refusal);
    }
    this.#streams.beginDownload(this.header, download);
    this.ok();
  }
}

/** The calls of one client that are under way, each answered when it is done. */
export class ClientCalls implements Answerable {
  readonly #parts: CallParts;
  readonly #client: ClientLink;
  readonly #streams: ClientStreams;
  readonly #host: CallsHost;
  readonly #sessions: readonly ClientSession[];
  /** Calls under way, with their programs. */
  readonly #calls = new Map<PendingReply, ClientProgram | undefined>();

  /** @param client each program is connected with it now */
  constructor(parts: CallParts, client: ClientLink, streams: ClientStreams, host: CallsHost) {
    this.#parts = parts;
    this.#client = client;
    this.#streams = streams;
    this.#host = host;
    this.#sessions = parts.programs.map((program) => program.connect(client));
  }

  /** How many are under way. */
  get size(): number {
    return this.#calls.size;
  }

  /** Whether there are as many as may be. */
  get full(): boolean {
    return this.#calls.size >= this.#parts.mostCalls();
  }

  /** Most bytes of a call's payload that are of any use. */
  payloadLimit(header: Readonly<Header>): number {
    return this.#programOf(header)?.payloadLimit(this.#client) ?? 0;
  }

  /**
   * Serves a call.
   *
   * @param args its payload, which is read before this returns
   */
  serve(header: Readonly<Header>, args: XdrReader): void {
    const program = this.#programOf(header);
    const reply = new CallReply(this, this.#streams, header, this.#parts.clock());
    this.#calls.set(reply, program);
    const session = program === undefined ? undefined : this.#sessions[this.#parts.programs.indexOf(program)];
    const failure = dispatch(session, args, reply);
    if (failure === undefined) return;
    this.#host.crashed(failure.error);
    if (!reply.given) reply.fail(unexpected());
    else if (this.#calls.has(reply)) this.#host.end("a reply failed");
  }

  /** A call is answered. Called by its reply, once. */
  answer(reply: PendingReply, { code, encode, close }: Answer): void {
    if (!this.#calls.has(reply)) return;
    const { header, started } = reply;
    const program = this.#calls.get(reply);
    const procedure = program?.procedureNames.get(header.procedure);
    if (program !== undefined && procedure !== undefined) {
      this.#parts.served(program.name, procedure, code, this.#parts.clock() - started);
    }
    header.type = MessageType.REPLY;
    header.status = code === 0 ? MessageStatus.OK : MessageStatus.ERROR;
    const frame = frameOf(header, encode);
    this.#calls.delete(reply);
    this.#host.reply(frame, close);
  }

  /** The connection has ended: nobody waits for an answer any more. */
  abandon(): void {
    this.#calls.clear();
  }

  /** The programs forget the client. */
  disconnect(): void {
    for (const session of this.#sessions) session.disconnect();
  }

  #programOf({ program, version }: Readonly<Header>): ClientProgram | undefined {
    return this.#parts.programs.find((each) => each.number === program && each.version === version);
  }
}
