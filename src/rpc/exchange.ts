import type { Mapping, SocketSys } from "../os/sys.ts";
import { setPointerField } from "../os/native.ts";

/** Bytes one receive can bring. */
export const INPUT_SIZE = 65536;
/** Bytes one send can take. */
export const OUTPUT_SIZE = 65536;
/** Bytes of native memory an {@link Exchange} takes. */
export const EXCHANGE_SIZE = 4096 + INPUT_SIZE + OUTPUT_SIZE;

const INPUT_HEADER = 1024;
const INPUT_VECTOR = 1088;
const OUTPUT_HEADER = 1152;
const OUTPUT_VECTOR = 1216;
const INPUT = 4096;
const OUTPUT = INPUT + INPUT_SIZE;
/** Offsets in struct mmsghdr (64-bit): msg_iov, msg_iovlen, msg_len. */
const IOV = 16;
const IOV_LENGTH = 24;
const RESULT = 56;
/** Value of msg_len that the kernel never writes: nothing was transferred yet. */
const UNTOUCHED = 0xffff_ffff;

/**
 * The memory through which all bytes of all clients pass, one receive or send at a time.
 *
 * It is native memory with message headers for recvmmsg(2) and sendmmsg(2), made once, so that a call costs no allocation; and
 * because the kernel writes the number of bytes into it during the call, a daemon that maps it from a shared file still knows after
 * a kill what was received and what was sent.
 */
export class Exchange {
  /** Bytes received last; valid until the next {@link receive}. */
  readonly input: Uint8Array;
  /** Where a reply is written before {@link send}. */
  readonly output: Uint8Array;
  readonly #sys: Pick<SocketSys, "receivePrepared" | "sendPrepared">;
  readonly #view: DataView;
  readonly #receiveHeader: Deno.PointerValue;
  readonly #sendHeader: Deno.PointerValue;

  /**
   * @param memory mapping with {@link EXCHANGE_SIZE} bytes at `offset`; must outlive the exchange
   * @param offset multiple of 8
   */
  constructor(sys: Pick<SocketSys, "receivePrepared" | "sendPrepared">, memory: Mapping, offset: number) {
    this.#sys = sys;
    const bytes = memory.bytes.subarray(offset, offset + EXCHANGE_SIZE);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.input = bytes.subarray(INPUT, INPUT + INPUT_SIZE);
    this.output = bytes.subarray(OUTPUT, OUTPUT + OUTPUT_SIZE);
    this.#receiveHeader = memory.pointer(offset + INPUT_HEADER);
    this.#sendHeader = memory.pointer(offset + OUTPUT_HEADER);
    const address = memory.address + offset;
    this.#prepare(INPUT_HEADER, INPUT_VECTOR, address, INPUT);
    this.#prepare(OUTPUT_HEADER, OUTPUT_VECTOR, address, OUTPUT);
  }

  /**
   * Receives at most `limit` bytes into {@link input}. Descriptors sent along are dropped by the kernel.
   *
   * @returns how many, 0 at end of stream, or -errno
   */
  receive(fd: number, limit: number): number {
    this.#view.setUint32(INPUT_VECTOR + 8, limit, true);
    this.#view.setUint32(INPUT_HEADER + RESULT, UNTOUCHED, true);
    const result = this.#sys.receivePrepared(fd, this.#receiveHeader);
    return result < 0 ? result : this.#view.getUint32(INPUT_HEADER + RESULT, true);
  }

  /**
   * Sends the first `length` bytes of {@link output}.
   *
   * @returns how many were taken, or -errno
   */
  send(fd: number, length: number): number {
    this.#view.setUint32(OUTPUT_VECTOR + 8, length, true);
    this.#view.setUint32(OUTPUT_HEADER + RESULT, UNTOUCHED, true);
    const result = this.#sys.sendPrepared(fd, this.#sendHeader);
    return result < 0 ? result : this.#view.getUint32(OUTPUT_HEADER + RESULT, true);
  }

  #prepare(header: number, vector: number, address: number, data: number): void {
    setPointerField(this.#view, header + IOV, address + vector);
    setPointerField(this.#view, header + IOV_LENGTH, 1);
    setPointerField(this.#view, vector, address + data);
    setPointerField(this.#view, vector + 8, 0);
  }
}
