import { FRAME_MIN, type Header } from "../../chassis/wire/frame.ts";
import type { Download } from "../model/storage_service.ts";
import { STREAM_PAYLOAD, streamEnd, streamEof, streamFailure, streamHole, streamPacket } from "./frames.ts";
import type { StreamHost } from "./upload_stream.ts";

/** What a client that receives a volume needs beside. */
export interface DownloadHost extends StreamHost {
  /** Sends a packet whose bytes change with the next one. */
  sendPacket(bytes: Uint8Array): void;
  /** There is something to send: {@link DownloadStream.pump} is to be called when the client reads. */
  wanted(): void;
}

/** A volume that a client is sent: one packet at a time, each when the one before is with the kernel. */
export class DownloadStream {
  readonly #call: Readonly<Header>;
  readonly #download: Download;
  readonly #host: DownloadHost;
  #buffer: Uint8Array | undefined = new Uint8Array(FRAME_MIN + STREAM_PAYLOAD);
  /** `sent`: the client has everything, and is to say so. */
  #state: "sending" | "waiting" | "sent" | "over" = "sending";

  /** @param call header of the call that began it */
  constructor(call: Readonly<Header>, download: Download, host: DownloadHost) {
    this.#call = call;
    this.#download = download;
    this.#host = host;
    download.ready = () => {
      if (this.#state !== "waiting") return;
      this.#state = "sending";
      host.wanted();
    };
  }

  /** Whether it has something to send, or may have. */
  get sending(): boolean {
    return this.#state === "sending";
  }

  /** Whether it is the client that has to go on: to read, or to say that it has everything. */
  get awaitsClient(): boolean {
    return this.#state === "sending" || this.#state === "sent";
  }

  /** Sends the next packet. */
  pump(): void {
    const buffer = this.#buffer;
    if (this.#state !== "sending" || buffer === undefined) return;
    const piece = this.#download.next(buffer.subarray(FRAME_MIN));
    switch (piece.kind) {
      case "data":
        return this.#host.sendPacket(streamPacket(this.#call, buffer, piece.length));
      case "hole":
        return this.#host.send(streamHole(this.#call, piece.length));
      case "wait":
        this.#state = "waiting";
        return;
      case "end":
        this.#state = "sent";
        this.#buffer = undefined;
        this.#download.close();
        return this.#host.send(streamEof(this.#call));
      case "failed":
        this.#host.send(streamFailure(this.#call, piece.failure));
        return this.#over();
    }
  }

  /** The client ends the stream: it has everything, or does not want more. */
  end(): void {
    if (this.#state === "over") return;
    this.#host.send(streamEnd(this.#call));
    this.#over();
  }

  /** The connection has ended, or is slow for too long. */
  abandon(): void {
    this.#state = "over";
    this.#buffer = undefined;
    this.#download.close();
  }

  #over(): void {
    this.abandon();
    this.#host.ended(this.#call);
  }
}
