import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { EAGAIN } from "../../os/errno.ts";
import type { Answer, Upload } from "../model/storage_service.ts";
import { FRAME_DATA, FrameKind, HEAD_SIZE, writeHead } from "../volumes/frames.ts";
import { helperEnded } from "../work/work_message.ts";
import { done, refused } from "./outcome.ts";
import type { StorageWatch } from "./storage_watch.ts";
import type { TransferSocket } from "./transfer_socket.ts";

/** A volume on its way to the helper that writes it. */
export class VolumeUpload implements Upload {
  ready = () => {};
  failed = (_failure: RpcFailure) => {};
  readonly #socket: TransferSocket;
  readonly #watch: StorageWatch;
  readonly #limit: () => number;
  readonly #head = new Uint8Array(HEAD_SIZE);
  /** Bytes of the head that are still to be sent. */
  #headLeft = 0;
  /** Bytes of data that the frame has promised. */
  #promised = 0;
  #answer: Answer<void> | undefined;
  #result: { failure: RpcFailure | undefined } | undefined;
  #closed: (() => void) | undefined;
  /** Told when a client that has given up may use the volume again. */
  #freed = () => {};

  /**
   * @param watch for this stream alone
   * @param limit ms that storage may take without a sign of life
   * @param closed called once when it is over
   */
  constructor(socket: TransferSocket, watch: StorageWatch, limit: () => number, closed: () => void) {
    this.#socket = socket;
    this.#watch = watch;
    this.#limit = limit;
    this.#closed = closed;
  }

  write(bytes: Uint8Array): number {
    let taken = 0;
    while (taken < bytes.length && this.#result === undefined) {
      if (this.#promised === 0 && this.#headLeft === 0) {
        this.#promised = Math.min(bytes.length - taken, FRAME_DATA);
        this.#begin(FrameKind.DATA, this.#promised);
      }
      if (!this.#sendHead()) return taken;
      const count = this.#socket.write(bytes.subarray(taken, taken + this.#promised));
      if (count < 0) {
        if (count === -EAGAIN) this.#whenWritable();
        else this.#giveUp();
        return taken;
      }
      taken += count;
      this.#promised -= count;
    }
    return taken;
  }

  hole(length: bigint): boolean {
    if (this.#result !== undefined) return false;
    if (this.#headLeft === 0) this.#begin(FrameKind.HOLE, Number(length));
    if (!this.#sendHead()) return false;
    return true;
  }

  #begin(kind: FrameKind, length: number): void {
    writeHead(this.#head, kind, length);
    this.#headLeft = HEAD_SIZE;
  }

  /** @returns whether all of it has been sent */
  #sendHead(): boolean {
    while (this.#headLeft > 0) {
      const count = this.#socket.write(this.#head.subarray(HEAD_SIZE - this.#headLeft));
      if (count === -EAGAIN) {
        this.#whenWritable();
        return false;
      }
      if (count < 0) {
        this.#giveUp();
        return false;
      }
      this.#headLeft -= count;
    }
    return true;
  }

  /** The stream to the helper is broken: it ends now, if it has not. Why is told beside the stream. */
  #giveUp(): void {
    this.#socket.close();
  }

  #whenWritable(): void {
    this.#watch.begin(this.#limit());
    this.#socket.when("writable", () => {
      if (this.#answer !== undefined) return this.#sendEnd();
      this.#watch.pause();
      this.ready();
    });
  }

  /** The helper has got further. */
  heard(): void {
    this.#watch.heard();
  }

  finish(answer: Answer<void>): void {
    this.#answer = answer;
    if (this.#result !== undefined) return this.#tell();
    this.#watch.begin(this.#limit());
    this.#begin(FrameKind.END, 0);
    this.#sendEnd();
  }

  #sendEnd(): void {
    this.#sendHead();
  }

  /** The helper has written everything, or has failed. */
  ended(failure: RpcFailure | undefined): void {
    const early = failure === undefined && this.#answer === undefined ? helperEnded() : failure;
    this.#result = { failure: early };
    this.#watch.end();
    this.#socket.close();
    const closed = this.#closed;
    this.#closed = undefined;
    closed?.();
    this.#freed();
    if (this.#answer !== undefined) return this.#tell();
    if (early !== undefined) this.failed(early);
  }

  #tell(): void {
    const answer = this.#answer;
    const result = this.#result;
    if (answer === undefined || result === undefined) return;
    if (result.failure === undefined) done(answer, undefined);
    else refused(answer, result.failure);
  }

  abort(freed = () => {}): void {
    this.failed = () => {};
    this.ready = () => {};
    if (this.#result !== undefined) return freed();
    this.#freed = freed;
    this.#watch.begin(this.#limit());
    // The helper sees the end of the stream, and ends.
    this.#socket.close();
  }
}
