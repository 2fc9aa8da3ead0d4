import { connect, type Socket } from "node:net";
import { encodeFrame, type Header, MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { encodePing, isPong } from "./keepalive_codec.ts";
import { decodeRpcFailure, type RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { type Frame, FrameSplitter } from "./frame_splitter.ts";
import { PATIENCE_MS } from "./until.ts";

/** The answer to a call. */
export type CallResult =
  | { readonly kind: "ok"; readonly header: Header; readonly payload: Uint8Array }
  | { readonly kind: "error"; readonly header: Header; readonly failure: RpcFailure };

/** Header fields of a call that are not the usual ones. */
export type CallHeader = Partial<Pick<Header, "version" | "type" | "serial" | "status">>;

interface Waiter<T> {
  /** What is waited for, for messages. */
  readonly what: string;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

interface PendingCall extends Waiter<CallResult> {
  readonly request: Header;
}

/**
 * A client of the daemon over a Unix socket, for tests: calls may overlap, and nothing waits for ever.
 *
 * Every promise it returns fails with a message that says what was waited for when the time is up or the
 * connection ends.
 */
export class RpcClient {
  /** Resolves when the connection has ended, whoever ended it: with the reason if it was an error. */
  readonly closed: Promise<Error | undefined>;
  readonly #path: string;
  readonly #socket: Socket;
  readonly #timeout: number;
  readonly #splitter = new FrameSplitter();
  readonly #calls: PendingCall[] = [];
  readonly #messages: Frame[] = [];
  readonly #messageWaiters: Waiter<Frame>[] = [];
  #nextSerial = 1;
  #ended: Error | undefined;

  /** Use {@link open}. */
  protected constructor(path: string, socket: Socket, timeout: number) {
    this.#path = path;
    this.#socket = socket;
    this.#timeout = timeout;
    let failure: Error | undefined;
    socket.on("error", (error) => failure = error);
    socket.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    this.closed = new Promise((resolve) =>
      socket.on("close", () => {
        this.#end(failure);
        resolve(failure);
      })
    );
  }

  /**
   * Connects a socket.
   *
   * @throws Error when it is refused or takes longer than `timeout`
   */
  protected static async open(path: string, timeout: number): Promise<Socket> {
    const socket = connect({ path });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`Connect to ${path}: not within ${timeout} ms`)),
      timeout,
    );
    socket.once("connect", resolve);
    socket.once("error", reject);
    try {
      await promise;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      socket.off("connect", resolve);
      socket.off("error", reject);
    }
    return socket;
  }

  /** A client of any program. */
  static async connect(path: string, timeout: number = PATIENCE_MS): Promise<RpcClient> {
    return new RpcClient(path, await RpcClient.open(path, timeout), timeout);
  }

  /** Bytes of an unfinished message that have been received. */
  get unfinished(): Uint8Array {
    return this.#splitter.pending;
  }

  /** Sends bytes as they are. */
  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /**
   * Sends a call and waits for its reply. Others may be sent before it comes.
   *
   * @param header fields of the header that are not the usual ones; without a serial the next one is taken
   * @throws Error when there is no reply in time, the connection ends, or the reply is to another procedure
   */
  call(
    program: number,
    procedure: number,
    payload: Uint8Array = new Uint8Array(0),
    header: CallHeader = {},
  ): Promise<CallResult> {
    const request: Header = {
      program,
      procedure,
      version: 1,
      type: MessageType.CALL,
      serial: header.serial ?? this.#nextSerial++,
      status: MessageStatus.OK,
      ...header,
    };
    const what = `reply to procedure ${procedure} of program 0x${
      program.toString(16)
    }, serial ${request.serial}`;
    const result = this.#wait<CallResult>(what, this.#calls, (waiter) => ({ ...waiter, request }));
    if (this.#ended === undefined) this.send(encodeFrame(request, payload));
    return result;
  }

  /**
   * Sends a call and decodes its reply.
   *
   * @throws RpcFailure when the reply is an error; Error as {@link call}, and when the reply is longer than
   *   was decoded
   */
  async request<T>(
    program: number,
    procedure: number,
    encode: (writer: XdrWriter) => void,
    decode: (reader: XdrReader) => T,
  ): Promise<T> {
    const writer = new XdrWriter();
    encode(writer);
    const result = await this.call(program, procedure, writer.copy());
    if (result.kind === "error") throw result.failure;
    const reader = new XdrReader(result.payload);
    const value = decode(reader);
    if (reader.remaining > 0) {
      throw new Error(`Reply to procedure ${procedure}: ${reader.remaining} bytes left over`);
    }
    return value;
  }

  /** The next message that is no reply to a call; they are kept until asked for. */
  nextMessage(): Promise<Frame> {
    const frame = this.#messages.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    return this.#wait<Frame>("message", this.#messageWaiters, (waiter) => waiter);
  }

  /** Sends a keepalive PING and waits for the PONG. */
  async ping(): Promise<void> {
    this.send(encodePing());
    const { header } = await this.nextMessage();
    if (!isPong(header)) throw new Error(`Expected a PONG, received ${JSON.stringify(header)}`);
  }

  /** Ends the connection and waits until it has ended. Harmless when it has. */
  async close(): Promise<void> {
    this.#socket.destroy();
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const frame of this.#splitter.push(chunk)) this.#dispatch(frame);
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #dispatch(frame: Frame): void {
    const { header, payload } = frame;
    const index = header.type === MessageType.REPLY
      ? this.#calls.findIndex(({ request }) => request.serial === header.serial)
      : -1;
    const [call] = index < 0 ? [] : this.#calls.splice(index, 1);
    if (call === undefined) {
      const waiter = this.#messageWaiters.shift();
      if (waiter === undefined) this.#messages.push(frame);
      else waiter.resolve(frame);
      return;
    }
    const { request } = call;
    if (
      header.program !== request.program || header.version !== request.version ||
      header.procedure !== request.procedure
    ) {
      return call.reject(new Error(`Expected a ${call.what}, received ${JSON.stringify(header)}`));
    }
    if (header.status === MessageStatus.OK) return call.resolve({ kind: "ok", header, payload });
    try {
      call.resolve({ kind: "error", header, failure: decodeRpcFailure(new XdrReader(payload)) });
    } catch (error) {
      call.reject(new Error(`Expected a ${call.what}, received a malformed error`, { cause: error }));
    }
  }

  #end(failure: Error | undefined): void {
    this.#ended = failure ?? new Error("closed by the peer or by close()");
    for (const waiter of [...this.#calls.splice(0), ...this.#messageWaiters.splice(0)]) {
      waiter.reject(this.#endedError(waiter.what));
    }
  }

  #endedError(what: string): Error {
    return new Error(`Connection to ${this.#path} ended before the ${what}`, { cause: this.#ended });
  }

  #wait<T, W extends Waiter<T> = Waiter<T>>(
    what: string,
    queue: W[],
    extend: (waiter: Waiter<T>) => W,
  ): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#endedError(what));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const waiter = extend({ what, resolve, reject });
    queue.push(waiter);
    const timer = setTimeout(() => {
      queue.splice(queue.indexOf(waiter), 1);
      reject(new Error(`No ${what} from ${this.#path} within ${this.#timeout} ms`));
    }, this.#timeout);
    return promise.finally(() => clearTimeout(timer));
  }
}
