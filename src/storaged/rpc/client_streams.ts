import { type Header, MessageStatus } from "../../chassis/wire/frame.ts";
import { ErrorDomain, rpcError, type RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { Download, Upload } from "../model/storage_service.ts";
import { DownloadStream } from "./download_stream.ts";
import { type Disposal, DROP, WAIT } from "./message_input.ts";
import { type StreamHost, UploadStream } from "./upload_stream.ts";

/** Streams at once on one connection. */
const MOST_STREAMS = 16;
/** Bytes of a hole's description. */
const HOLE_LIMIT = 64;

const STREAM: Disposal = { kind: "stream" };
const END: Disposal = { kind: "keep", limit: 0 };
const HOLE: Disposal = { kind: "keep", limit: HOLE_LIMIT };

/** What the streams of a connection need of it. */
export interface StreamsHost {
  /** @param lasting whether the bytes stay as they are, so that they need not be copied while they wait */
  send(bytes: Uint8Array, lasting: boolean): void;
  /** {@link ClientStreams.pump} is to be called soon, not at once. */
  pumpLater(): void;
  /** What is held of the client can be gone on with, soon and not at once. */
  resumeLater(): void;
  /** Monotonic milliseconds. */
  clock(): number;
}

/** The streams of one connection: volumes that its client sends, and volumes that it is sent. */
export class ClientStreams {
  readonly #host: StreamsHost;
  readonly #uploads = new Map<number, UploadStream>();
  readonly #downloads = new Map<number, DownloadStream>();
  #abandoned = false;
  /** Monotonic ms at which one of them moved last. */
  #movedAt: number;

  constructor(host: StreamsHost) {
    this.#host = host;
    this.#movedAt = host.clock();
  }

  /** How many are under way. */
  get size(): number {
    return this.#uploads.size + this.#downloads.size;
  }

  /** Milliseconds for which they stand still because of the client. @param clock monotonic ms */
  idle(clock: number): number {
    // What storage holds up is nothing that the client could help.
    if (!this.#all().some(({ awaitsClient }) => awaitsClient)) this.#movedAt = clock;
    return clock - this.#movedAt;
  }

  /** Whether one of them has something to send, or may have. */
  get sending(): boolean {
    return [...this.#downloads.values()].some((stream) => stream.sending);
  }

  /** Why a call may begin no stream; undefined: it may. Two streams of one serial could not be told apart. */
  refusal(serial: number): RpcFailure | undefined {
    if (this.#uploads.has(serial) || this.#downloads.has(serial)) {
      return rpcError(
        ErrorDomain.RPC,
        `There is a stream with the serial ${serial} on this connection already`,
      );
    }
    if (this.size < MOST_STREAMS) return undefined;
    return rpcError(ErrorDomain.RPC, `There are ${MOST_STREAMS} streams on this connection already`);
  }

  /** A call's stream takes what the client sends from now on. */
  beginUpload(call: Readonly<Header>, upload: Upload): void {
    if (this.#abandoned) return upload.abort();
    this.#movedAt = this.#host.clock();
    this.#uploads.set(call.serial, new UploadStream(call, upload, this.#streamHost()));
  }

  /** A call's stream is sent from now on. */
  beginDownload(call: Readonly<Header>, download: Download): void {
    if (this.#abandoned) return download.close();
    this.#movedAt = this.#host.clock();
    const host = {
      ...this.#streamHost(),
      sendPacket: (bytes: Uint8Array) => this.#send(bytes, false),
      wanted: () => this.#host.pumpLater(),
    };
    this.#downloads.set(call.serial, new DownloadStream(call, download, host));
    this.#host.pumpLater();
  }

  /** What is to be done with the payload of a packet. */
  packet({ serial, status }: Readonly<Header>): Disposal {
    const upload = this.#uploads.get(serial);
    if (upload?.blocked === true) return WAIT;
    if (status !== MessageStatus.CONTINUE) return END;
    return upload === undefined ? DROP : STREAM;
  }

  /** What is to be done with the payload of a hole. */
  holePacket({ serial }: Readonly<Header>): Disposal {
    return this.#uploads.get(serial)?.blocked === true ? WAIT : HOLE;
  }

  /**
   * Bytes that the client sends.
   *
   * @param now monotonic ms
   * @returns how many were taken; fewer: the rest is to be given again
   */
  data(serial: number, bytes: Uint8Array, now: number): number {
    const taken = this.#uploads.get(serial)?.data(bytes) ?? bytes.length;
    if (taken > 0) this.#movedAt = now;
    return taken;
  }

  /**
   * A hole that the client sends.
   *
   * @throws XdrError when it cannot be read
   */
  hole(serial: number, args: XdrReader): void {
    this.#uploads.get(serial)?.hole(args);
  }

  /** The client ends a stream. */
  end({ serial, status }: Readonly<Header>): void {
    const upload = this.#uploads.get(serial);
    if (upload !== undefined) return upload.end(status);
    this.#downloads.get(serial)?.end();
  }

  /** The client has read all that it was sent. */
  read(): void {
    if (this.#downloads.size > 0) this.#movedAt = this.#host.clock();
  }

  /**
   * Sends one packet of each download, so that others are served between the packets.
   *
   * @param full whether the client has to read before it is sent more
   */
  pump(full: () => boolean): void {
    for (const stream of this.#downloads.values()) {
      if (full()) return;
      stream.pump();
    }
  }

  /** The connection has ended. What begins later is given up at once. */
  abandon(): void {
    this.#abandoned = true;
    for (const stream of this.#all()) stream.abandon();
    this.#uploads.clear();
    this.#downloads.clear();
  }

  #all(): (UploadStream | DownloadStream)[] {
    return [...this.#uploads.values(), ...this.#downloads.values()];
  }

  #streamHost(): StreamHost {
    return {
      send: (bytes) => this.#send(bytes, true),
      resume: () => this.#host.resumeLater(),
      ended: ({ serial }) => {
        this.#uploads.delete(serial);
        this.#downloads.delete(serial);
        this.#host.resumeLater();
      },
    };
  }

  #send(bytes: Uint8Array, lasting: boolean): void {
    if (this.#abandoned) return;
    this.#movedAt = this.#host.clock();
    this.#host.send(bytes, lasting);
  }
}
