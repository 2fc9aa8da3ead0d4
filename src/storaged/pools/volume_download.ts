import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { EAGAIN } from "../../os/errno.ts";
import type { Download, DownloadPiece } from "../model/storage_service.ts";
import { type FrameHead, FrameKind, HEAD_SIZE, readHead } from "../volumes/frames.ts";
import { helperEnded } from "../work/work_message.ts";
import type { StorageWatch } from "./storage_watch.ts";
import type { TransferSocket } from "./transfer_socket.ts";

/** A volume as a helper sends it. */
export class VolumeDownload implements Download {
  ready = () => {};
  readonly #socket: TransferSocket;
  readonly #watch: StorageWatch;
  readonly #limit: () => number;
  readonly #head = new Uint8Array(HEAD_SIZE);
  #headLength = 0;
  /** Bytes of the frame that are still to come. */
  #left = 0;
  #ended: DownloadPiece | undefined;
  #failure: RpcFailure | undefined;
  /** Whether nothing more can come from the helper, and not because it was at the end. */
  #lost = false;
  #closed = () => {};
  /** Whether the helper has done its work, or has failed. */
  #settled = false;

  /**
   * @param watch for this stream alone
   * @param closed called once when it is not needed any more
   */
  constructor(socket: TransferSocket, watch: StorageWatch, limit: () => number, closed: () => void) {
    this.#socket = socket;
    this.#watch = watch;
    this.#limit = limit;
    this.#closed = closed;
  }

  next(into: Uint8Array): DownloadPiece {
    if (this.#ended !== undefined) return this.#ended;
    if (this.#left > 0) return this.#data(into);
    const head = this.#nextHead();
    if (head === undefined) return this.#ended ?? this.#wait();
    switch (head.kind) {
      case FrameKind.END:
        return this.#ended = { kind: "end" };
      case FrameKind.HOLE:
        return { kind: "hole", length: BigInt(head.length) };
      case FrameKind.DATA:
        this.#left = head.length;
        return this.#data(into);
    }
  }

  #data(into: Uint8Array): DownloadPiece {
    const count = this.#socket.read(into.length > this.#left ? into.subarray(0, this.#left) : into);
    if (count === -EAGAIN) return this.#wait();
    if (count <= 0) return this.#broken();
    this.#left -= count;
    return { kind: "data", length: count };
  }

  #nextHead(): FrameHead | undefined {
    const count = this.#socket.read(this.#head.subarray(this.#headLength));
    if (count === -EAGAIN) return undefined;
    if (count <= 0) {
      this.#broken();
      return undefined;
    }
    this.#headLength += count;
    if (this.#headLength < HEAD_SIZE) return undefined;
    this.#headLength = 0;
    return readHead(this.#head);
  }

  /** The helper ends now, if it has not. Why is told beside the stream, perhaps a moment later. */
  #broken(): DownloadPiece {
    this.#lost = true;
    this.#socket.close();
    if (this.#failure === undefined) return { kind: "wait" };
    return this.#ended = { kind: "failed", failure: this.#failure };
  }

  #wait(): DownloadPiece {
    this.#watch.begin(this.#limit());
    this.#socket.when("readable", () => {
      this.#watch.pause();
      this.ready();
    });
    return { kind: "wait" };
  }

  /** The helper has done its work. */
  completed(): void {
    this.#settle();
    this.#failure ??= helperEnded();
    if (this.#lost) this.ready();
  }

  /** The helper has failed. */
  fail(failure: RpcFailure): void {
    this.#settle();
    this.#failure = failure;
    // What was sent before is of no use now; a helper that hangs would not even end the stream.
    this.#ended ??= { kind: "failed", failure };
    this.#socket.close();
    // Nobody reads the volume any more, whenever the client takes notice.
    this.#free();
    this.ready();
  }

  close(): void {
    this.#socket.close();
    // The helper sees that nobody reads any more, unless storage holds it up.
    if (!this.#settled) this.#watch.begin(this.#limit());
    this.#free();
  }

  #settle(): void {
    this.#settled = true;
    this.#watch.end();
  }

  #free(): void {
    const closed = this.#closed;
    this.#closed = () => {};
    closed();
  }
}
