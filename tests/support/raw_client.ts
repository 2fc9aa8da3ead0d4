import { SOCK_STREAM } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { encodeFrame, MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { LOCK_PROGRAM, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { decodeRpcFailure, type RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { type Frame, FrameSplitter } from "./frame_splitter.ts";
import { kernel } from "./kernel.ts";
import { PATIENCE_MS } from "./until.ts";

/**
 * A client that makes one system call for each of its calls: what was sent is in the daemon's socket when
 * `send` returns. The test's own process stands still while it waits for the daemon.
 */
export class RawClient implements Disposable {
  /** Connected socket, owned by the client. */
  readonly fd: number;
  readonly #splitter = new FrameSplitter();
  readonly #frames: Frame[] = [];
  readonly #chunk = new Uint8Array(65536);
  #open = true;
  /** Number of the next call, counted as libvirt does. */
  #serial = 0;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Connects. @throws SystemError */
  static connect(path: string): RawClient {
    const fd = must(kernel.socket(SOCK_STREAM, false), "socket", path);
    must(kernel.connect(fd, path), "connect", path);
    return new RawClient(fd);
  }

  /** Sends bytes. @throws Error when the kernel does not take all of them at once */
  send(bytes: Uint8Array): void {
    const sent = must(kernel.send(this.fd, bytes), "send", "client");
    if (sent < bytes.length) throw new Error(`Send ${bytes.length} bytes: only ${sent} were taken`);
  }

  /**
   * Sends as many of the bytes as the kernel takes now. @returns how many; 0 when the daemon does not read
   */
  offer(bytes: Uint8Array): number {
    return Math.max(0, kernel.send(this.fd, bytes));
  }

  /** The next message. @throws Error when none comes in time, or the daemon closes */
  receive(): Frame {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      const count = this.#read(PATIENCE_MS);
      if (count === undefined) throw new Error(`Receive: nothing within ${PATIENCE_MS} ms`);
      if (count <= 0) throw new Error(`Receive: the connection has ended (${count})`);
    }
  }

  /**
   * Waits for the daemon to close. @throws Error when it sends something instead, or does not close in time
   */
  untilClosed(): void {
    const count = this.#read(PATIENCE_MS);
    if (count === undefined || count > 0) throw new Error(`Wait for the end: received ${count ?? "nothing"}`);
  }

  /** Whether nothing was received that has not been asked for. A message may still be under way. */
  get quiet(): boolean {
    return this.#frames.length === 0 && this.#splitter.pending.length === 0 &&
      kernel.pollReadable(this.fd, 0) === 0;
  }

  /** Calls a procedure of the lock program; the refusal, if it is one. */
  request(procedure: number, encode: (writer: XdrWriter) => void, serial?: number): RpcFailure | undefined {
    return this.ask(procedure, encode, serial)();
  }

  /** Calls a procedure of the lock program. @returns waits for the answer: the refusal, if it is one */
  ask(
    procedure: number,
    encode: (writer: XdrWriter) => void,
    serial = this.#serial++,
  ): () => RpcFailure | undefined {
    this.send(lockCall(procedure, encode, serial));
    return () => {
      const { header, payload } = this.receive();
      if (header.serial !== serial || header.type !== MessageType.REPLY) {
        throw new Error(`Expected a reply to ${serial}, received ${JSON.stringify(header)}`);
      }
      return header.status === MessageStatus.OK ? undefined : decodeRpcFailure(new XdrReader(payload));
    };
  }

  /**
   * A round trip that changes nothing. What other connections sent before is read by the daemon when two of
   * them are done.
   */
  roundTrip(): void {
    const refusal = this.request(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(""));
    if (refusal !== undefined) throw refusal;
  }

  close(): void {
    if (this.#open) kernel.close(this.fd);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read(timeout: number): number | undefined {
    // A signal may end one wait.
    const end = kernel.monotonic() + timeout;
    while (kernel.pollReadable(this.fd, Math.max(0, Math.ceil(end - kernel.monotonic()))) <= 0) {
      if (kernel.monotonic() >= end) return undefined;
    }
    const received = kernel.receiveMessage(this.fd, this.#chunk, false);
    const count = typeof received === "number" ? received : received.length;
    if (count > 0) this.#frames.push(...this.#splitter.push(this.#chunk.subarray(0, count)));
    return count;
  }
}

/** A call of the lock program as bytes. */
export function lockCall(
  procedure: number,
  encode: (writer: XdrWriter) => void,
  serial: number,
): Uint8Array<ArrayBuffer> {
  const writer = new XdrWriter();
  encode(writer);
  const { CALL } = MessageType;
  const header = { program: LOCK_PROGRAM, version: 1, procedure, type: CALL, serial, status: 0 };
  return encodeFrame(header, writer.copy());
}
