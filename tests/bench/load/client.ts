import { SOCK_STREAM } from "../../../src/os/constants.ts";
import type { Sys } from "../../../src/os/sys.ts";
import { must, SystemError } from "../../../src/os/system_error.ts";
import {
  emptyHeader,
  FRAME_MIN,
  frameLength,
  MessageStatus,
  readHeader,
} from "../../../src/chassis/wire/frame.ts";
import { XdrReader } from "../../../src/chassis/wire/xdr_reader.ts";

const MESSAGE_MAX = 65536;

/**
 * A blocking connection. All of them read into one buffer: replies are small and looked at before the next
 * read.
 */
export class Client {
  static readonly #buffer = new Uint8Array(4096);
  readonly #sys: Sys;
  readonly fd: number;

  /** @throws SystemError when the daemon does not take the connection */
  constructor(sys: Sys, path: string) {
    this.#sys = sys;
    this.fd = must(sys.socket(SOCK_STREAM, false), "socket", "client");
    const connected = sys.connect(this.fd, path);
    if (connected < 0) {
      sys.close(this.fd);
      throw new SystemError("connect", path, connected);
    }
  }

  send(frame: Uint8Array): void {
    const sent = must(this.#sys.write(this.fd, frame), "write", "request");
    if (sent !== frame.length) throw new Error(`Send request: ${sent} bytes taken, wanted ${frame.length}`);
  }

  /**
   * Takes one reply.
   *
   * @throws Error when the daemon refuses the request or ends the connection
   */
  receive(): void {
    const buffer = Client.#buffer;
    let length = must(this.#sys.read(this.fd, buffer), "read", "reply");
    // A success is exactly a header, whose last word is the status.
    if (length === FRAME_MIN && buffer[FRAME_MIN - 1] === MessageStatus.OK) return;
    while (length > 0 && length < Math.max(FRAME_MIN, frameLength(buffer, 0, length))) {
      const more = must(this.#sys.read(this.fd, buffer.subarray(length)), "read", "reply");
      if (more === 0) length = 0;
      length += more;
    }
    if (length === 0) throw new Error("Receive reply: the daemon closed the connection");
    const header = emptyHeader();
    readHeader(buffer, 0, header);
    if (header.status === MessageStatus.OK) return;
    const reader = new XdrReader(buffer, FRAME_MIN, length);
    const [code, domain] = [reader.i32(), reader.i32()];
    const message = reader.optionalString(MESSAGE_MAX) ?? "";
    throw new Error(
      `Receive reply: procedure ${header.procedure} was refused (${code}/${domain}): ${message}`,
    );
  }

  /** Sends a request and waits for its reply. */
  call(frame: Uint8Array): void {
    this.send(frame);
    this.receive();
  }

  /** Whether a reply comes within `milliseconds`. */
  readable(milliseconds: number): boolean {
    return must(this.#sys.pollReadable(this.fd, milliseconds), "poll", "client") === 1;
  }

  close(): void {
    this.#sys.close(this.fd);
  }
}
