import { MessageStatus, MessageType } from "../../../src/chassis/wire/frame.ts";
import type { XdrWriter } from "../../../src/chassis/wire/xdr_writer.ts";
import { must } from "../../../src/os/system_error.ts";
import type { VolumeRef } from "../../../src/storaged/model/storage_service.ts";
import {
  ConnectProcedure,
  VolumeProcedure,
  writeVolume,
} from "../../../src/storaged/wire/remote_protocol.ts";
import { kernel } from "../../support/kernel.ts";
import { RawClient } from "../../support/raw_client.ts";
import { answerOf, remoteFrame } from "../../support/storage_stage.ts";

/** Bytes of data that a packet of a stream has at most. */
const PACKET = 262_120;
/** Length, program, version, procedure, type, serial and status. */
const HEAD = 28;
const BUFFER = 1 << 20;
const SERIAL = 9;

/**
 * A client of storage:///system that does nothing with what it sends and receives, so that the daemon alone
 * decides how fast a stream is. It blocks this process.
 */
export class StreamClient implements Disposable {
  readonly #raw: RawClient;
  readonly #buffer = new Uint8Array(BUFFER);

  /** @throws Error when the daemon does not let it in */
  constructor(socket: string) {
    this.#raw = RawClient.connect(socket);
    this.#call(ConnectProcedure.AUTH_LIST, () => {});
    this.#call(ConnectProcedure.OPEN, (writer) => {
      writer.optionalString("storage:///system");
      writer.u32(0);
    });
  }

  #call(procedure: number, encode: (writer: XdrWriter) => void): void {
    this.#raw.send(remoteFrame(procedure, SERIAL, encode));
    const answer = answerOf(this.#raw.receive());
    if (typeof answer === "string") throw new Error(`Call procedure ${procedure}: ${answer}`);
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      at += must(kernel.write(this.#raw.fd, bytes.subarray(at)), "write", "stream");
    }
  }

  /** Uploads so many bytes, a multiple of four. */
  upload(volume: VolumeRef, size: number): void {
    this.#call(VolumeProcedure.UPLOAD, (writer) => wholeOf(writer, volume));
    const packet = (length: number) =>
      remoteFrame(
        VolumeProcedure.UPLOAD,
        SERIAL,
        (writer) => writer.opaque(new Uint8Array(length).fill(7)),
        MessageType.STREAM,
        MessageStatus.CONTINUE,
      );
    const whole = packet(PACKET);
    let left = size;
    for (; left >= PACKET; left -= PACKET) this.#write(whole);
    if (left > 0) this.#write(packet(left));
    this.#finish(VolumeProcedure.UPLOAD);
  }

  /** Downloads all of a volume. @returns bytes */
  download(volume: VolumeRef): number {
    this.#raw.send(remoteFrame(VolumeProcedure.DOWNLOAD, SERIAL, (writer) => wholeOf(writer, volume)));
    let total = 0;
    // Bytes at the beginning of the buffer of a head that is not whole, and of data that are to come.
    let kept = 0;
    let awaited = 0;
    for (;;) {
      const received = kernel.receiveMessage(this.#raw.fd, this.#buffer.subarray(kept), true);
      if (typeof received === "number") throw new Error(`Receive: ${received}`);
      if (received.length === 0) throw new Error("Receive: the daemon has ended the stream");
      const end = kept + received.length;
      let at = 0;
      kept = 0;
      while (at < end) {
        const part = Math.min(awaited, end - at);
        at += part;
        awaited -= part;
        if (awaited > 0 || at === end) break;
        if (end - at < HEAD) {
          this.#buffer.copyWithin(0, at, end);
          kept = end - at;
          break;
        }
        const view = new DataView(this.#buffer.buffer, at, HEAD);
        const length = view.getUint32(0) - HEAD;
        const [type, status] = [view.getUint32(16), view.getUint32(24)];
        if (status === MessageStatus.ERROR) throw new Error("Download: it was refused");
        at += HEAD;
        if (type === MessageType.REPLY) continue;
        if (length === 0) {
          this.#finish(VolumeProcedure.DOWNLOAD);
          return total;
        }
        total += length;
        awaited = length;
      }
    }
  }

  #finish(procedure: number): void {
    this.#write(remoteFrame(procedure, SERIAL, () => {}, MessageType.STREAM));
    const answer = answerOf(this.#raw.receive());
    if (typeof answer === "string") throw new Error(`End the stream: ${answer}`);
  }

  [Symbol.dispose](): void {
    this.#raw[Symbol.dispose]();
  }
}

/** All of a volume, without flags. */
function wholeOf(writer: XdrWriter, volume: VolumeRef): void {
  writeVolume(writer, volume);
  writer.u64(0n);
  writer.u64(0n);
  writer.u32(0);
}
