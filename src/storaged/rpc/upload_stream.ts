import { type Header, MessageStatus } from "../../chassis/wire/frame.ts";
import { ErrorDomain, rpcError, type RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { Upload } from "../model/storage_service.ts";
import { streamEnd, streamFailure } from "./frames.ts";

/** What a stream needs of its connection. */
export interface StreamHost {
  /** Sends a message of the stream; the bytes stay as they are. */
  send(bytes: Uint8Array): void;
  /** More can be taken from the client. */
  resume(): void;
  /** The stream is over: what the client still sends on it is passed over. */
  ended(call: Readonly<Header>): void;
}

/**
 * Where the stream is. `closing`: everything has come, and the volume is being completed.
 *
 * `broken`: the client was told that it failed, and may still be sending.
 */
type State = "open" | "closing" | "broken" | "over";

/** A volume that a client sends. */
export class UploadStream {
  readonly #call: Readonly<Header>;
  readonly #upload: Upload;
  readonly #host: StreamHost;
  #state: State = "open";
  /** A hole that the volume could not take yet. */
  #hole: bigint | undefined;
  /** Whether the volume could not take everything that came. */
  #full = false;

  /** @param call header of the call that began it */
  constructor(call: Readonly<Header>, upload: Upload, host: StreamHost) {
    this.#call = call;
    this.#upload = upload;
    this.#host = host;
    upload.ready = () => this.#ready();
    upload.failed = (failure) => this.#fail(failure);
  }

  /** Takes bytes. @returns how many; fewer: the host is told when more can be taken */
  data(bytes: Uint8Array): number {
    if (this.#state !== "open") return bytes.length;
    if (this.#hole !== undefined) return 0;
    const taken = this.#upload.write(bytes);
    this.#full = taken < bytes.length;
    return taken;
  }

  /** Takes a hole. @returns whether it was taken; if not, the host is told when to go on behind it */
  hole(args: XdrReader): boolean {
    const length = args.i64();
    const flags = args.u32();
    if (this.#state !== "open") return true;
    if (length < 0n || flags !== 0) {
      this.#upload.abort();
      this.#fail(rpcError(ErrorDomain.RPC, `Unexpected hole of ${length} bytes in a stream`));
      return true;
    }
    if (this.#upload.hole(length)) return true;
    this.#hole = length;
    return false;
  }

  /** Whether it is the client that has to go on. */
  get awaitsClient(): boolean {
    return this.#state === "broken" || this.#state === "open" && !this.#full && this.#hole === undefined;
  }

  /** Whether nothing more can be taken before a hole. */
  get blocked(): boolean {
    return this.#hole !== undefined && this.#state === "open";
  }

  /** The client ends the stream: with OK when it has sent everything, else it has given up. */
  end(status: number): void {
    if (this.#state === "broken") return this.#over();
    if (this.#state !== "open") return;
    if (status === MessageStatus.OK) {
      this.#state = "closing";
      return this.#upload.finish((outcome) => {
        if (this.#state !== "closing") return;
        this.#host.send(
          outcome.kind === "done" ? streamEnd(this.#call) : streamFailure(this.#call, outcome.failure),
        );
        this.#over();
      });
    }
    this.#state = "closing";
    // What the client does next with the volume must not meet its own upload.
    this.#upload.abort(() => {
      if (this.#state !== "closing") return;
      this.#host.send(streamEnd(this.#call));
      this.#over();
    });
  }

  /** The connection has ended, or is slow for too long. */
  abandon(): void {
    if (this.#state === "open" || this.#state === "closing") this.#upload.abort();
    this.#state = "over";
  }

  #ready(): void {
    if (this.#state !== "open") return;
    this.#full = false;
    const hole = this.#hole;
    if (hole !== undefined) {
      if (!this.#upload.hole(hole)) return;
      this.#hole = undefined;
    }
    this.#host.resume();
  }

  #fail(failure: RpcFailure): void {
    if (this.#state === "closing") {
      this.#host.send(streamFailure(this.#call, failure));
      return this.#over();
    }
    if (this.#state !== "open") return;
    this.#state = "broken";
    this.#hole = undefined;
    this.#host.send(streamFailure(this.#call, failure));
    this.#host.resume();
  }

  #over(): void {
    this.#state = "over";
    this.#host.ended(this.#call);
  }
}
