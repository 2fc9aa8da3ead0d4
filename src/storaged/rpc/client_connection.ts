import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Peer } from "../../chassis/rpc/program.ts";
import { type Header, MessageType } from "../../chassis/wire/frame.ts";
import { isPing, KEEPALIVE_PROGRAM } from "../../chassis/wire/keepalive.ts";
import { XdrError } from "../../chassis/wire/xdr_error.ts";
import { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";
import { EPOLLOUT } from "../../os/constants.ts";
import { strerror } from "../../os/errno.ts";
import { type CallParts, ClientCalls } from "./client_calls.ts";
import { ClientInput } from "./client_input.ts";
import type { ClientLink } from "./client_link.ts";
import { ClientSocket, type ClientSocketParts } from "./client_socket.ts";
import { ClientStreams } from "./client_streams.ts";
import { messageFrame, PING_FRAME, PONG_FRAME } from "./frames.ts";
import { type Disposal, DROP, type MessageUser, WAIT } from "./message_input.ts";
import type { Sent } from "./output_queue.ts";

/** Bytes that may wait for a client which does not read; with more, an event costs it the connection. */
const MOST_UNREAD = 4 << 20;
/** Bytes that wait for a client before no more of its calls are taken. */
const ENOUGH_UNREAD = 1 << 20;
/** A client that is not authenticated is read in such pieces. */
const ANONYMOUS_PIECE = 4096;

/** What all connections of a server share. */
export interface ClientParts extends CallParts, ClientSocketParts {
  readonly loop: EventLoop;
  /** The connection has ended: its descriptor may be closed now. */
  readonly ended: (client: ClientConnection, reason: string) => void;
  /** It has proved that it may be served. */
  readonly authenticated: (client: ClientConnection) => void;
  /** It wants to be asked whether it is still there. */
  readonly keptAlive: (client: ClientConnection) => void;
  /** An error that nobody has foreseen. */
  readonly crashed: (client: ClientConnection, error: unknown) => void;
}

/**
 * One client of the storage daemon: several calls under way at once, each answered when it is done, streams
 * between them, and messages that answer nothing.
 *
 * Memory is bounded whatever a client does: it is not read from while too much waits for it.
 */
export class ClientConnection implements ClientLink, MessageUser {
  readonly fd: number;
  readonly peer: Peer;
  readonly clientId: number;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly connectedAt: number;
  readonly security: string;
  readonly #parts: ClientParts;
  readonly #input: ClientInput;
  readonly #socket: ClientSocket;
  readonly #reader = new XdrReader();
  readonly #streams: ClientStreams;
  readonly #calls: ClientCalls;
  #readOnly: boolean;
  #authenticated = false;
  #closing = false;
  #closed = false;
  #heardAt: number;

  /**
   * @param fd connected socket, non-blocking; stays the server's
   * @param readOnly whether it came to the socket for those who only look
   */
  constructor(parts: ClientParts, fd: number, peer: Peer, readOnly: boolean) {
    this.#parts = parts;
    this.fd = fd;
    this.peer = peer;
    ({
      clientId: this.clientId,
      pid: this.pid,
      uid: this.uid,
      gid: this.gid,
      connectedAt: this.connectedAt,
      security: this.security,
    } = peer);
    this.#readOnly = readOnly;
    this.#input = new ClientInput(this, () => this.#sent(this.#socket.send(PONG_FRAME, true)));
    this.#socket = new ClientSocket(parts, fd, (events) => this.#onEvents(events));
    this.#heardAt = parts.clock();
    this.#streams = new ClientStreams({
      send: (bytes, lasting) => this.#sent(this.#socket.send(bytes, lasting)),
      pumpLater: () => parts.loop.defer(() => this.#pump()),
      resumeLater: () => parts.loop.defer(() => this.#resume()),
      clock: parts.clock,
    });
    this.#calls = new ClientCalls(parts, this, this.#streams, {
      reply: (frame, close) => this.#reply(frame, close),
      crashed: (error) => parts.crashed(this, error),
      end: (reason) => this.end(reason),
    });
  }

  get pidfd(): number {
    return this.peer.pidfd;
  }

  get readOnly(): boolean {
    return this.#readOnly;
  }

  get authenticated(): boolean {
    return this.#authenticated;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a call or a stream is under way. */
  get busy(): boolean {
    return this.#calls.size > 0 || this.streams > 0;
  }

  /** Calls under way. */
  get calls(): number {
    return this.#calls.size;
  }

  /** Streams under way. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Bytes of memory that what it has sent takes. */
  get kept(): number {
    return this.#input.kept;
  }

  /** Monotonic ms at which something came from it last. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Milliseconds for which its streams stand still because of it. @param clock monotonic ms */
  streamsIdle(clock: number): number {
    return this.#streams.idle(clock);
  }

  /** Whether it is not read from now, so that its silence says nothing. */
  get unread(): boolean {
    return !this.#socket.reading;
  }

  restrict(): void {
    this.#readOnly = true;
  }

  authenticate(): void {
    if (this.#authenticated) return;
    this.#authenticated = true;
    this.#parts.authenticated(this);
  }

  keepAlive(): void {
    this.#parts.keptAlive(this);
  }

  /** Begins to read. */
  start(): void {
    this.#update();
  }

  /** Asks whether it is still there. */
  ping(): void {
    this.#sent(this.#socket.send(PING_FRAME, true));
  }

  tell(program: number, procedure: number, encode: (writer: XdrWriter) => void): void {
    if (this.#closed) return;
    if (this.#socket.unsent > MOST_UNREAD) return this.end("it does not read what it is sent");
    this.#sent(this.#socket.send(messageFrame(program, procedure, encode), true));
  }

  /** Ends the connection at once: nothing more is sent. Harmless when it has ended. */
  end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.leave();
    this.#calls.abandon();
    this.#streams.abandon();
    this.#calls.disconnect();
    this.#parts.ended(this, reason);
  }

  #onEvents(events: number): void {
    if ((events & EPOLLOUT) !== 0) {
      this.#sent(this.#socket.flush());
      if (this.#closed) return;
      if (this.#socket.unsent === 0) {
        if (this.#closing) return this.end("closed on request");
        this.#streams.read();
        this.#pump();
        this.#resume();
      }
    }
    if (!this.#closed && (events & ~EPOLLOUT) !== 0) this.#read();
  }

  #pump(): void {
    this.#streams.pump(() => this.#closed || this.#socket.unsent > 0);
    this.#update();
  }

  #read(): void {
    const received = this.#socket.receive(this.#authenticated ? undefined : ANONYMOUS_PIECE);
    if (received === undefined) return;
    if (typeof received === "string") return this.end(received);
    this.#heardAt = this.#parts.clock();
    this.#input.receive(received);
    this.#update();
  }

  /** Goes on with what is held. */
  #resume(): void {
    if (this.#closed) return;
    this.#input.resume();
    this.#update();
  }

  #update(): void {
    if (this.#closed) return;
    const unsent = this.#socket.unsent;
    const reading = !this.#closing && unsent < ENOUGH_UNREAD && this.#input.wanting;
    this.#socket.watch(reading, unsent > 0 || this.#streams.sending);
  }

  #sent(sent: Sent): void {
    if (this.#closed) return;
    if (sent.kind === "failed") return this.end(`send failed: ${strerror(sent.errno)}`);
    this.#update();
  }

  begin(header: Readonly<Header>): Disposal {
    switch (header.type) {
      case MessageType.CALL:
      case MessageType.CALL_WITH_FDS: {
        const full = this.#calls.full || this.#socket.unsent >= ENOUGH_UNREAD;
        return full || this.#closing ? WAIT : { kind: "keep", limit: this.#calls.payloadLimit(header) };
      }
      case MessageType.MESSAGE:
        return header.program === KEEPALIVE_PROGRAM ? { kind: "keep", limit: 0 } : DROP;
      case MessageType.STREAM:
        return this.#streams.packet(header);
      case MessageType.STREAM_HOLE:
        return this.#streams.holePacket(header);
      default:
        return DROP;
    }
  }

  message(header: Readonly<Header>, bytes: Uint8Array, start: number, end: number): void {
    this.#reader.reset(bytes, start, end);
    switch (header.type) {
      case MessageType.MESSAGE:
        if (isPing(header)) this.#sent(this.#socket.send(PONG_FRAME, true));
        return;
      case MessageType.STREAM:
        return this.#streams.end(header);
      case MessageType.STREAM_HOLE:
        return this.#hole(header);
      default:
        return this.#calls.serve(header, this.#reader);
    }
  }

  data(header: Readonly<Header>, bytes: Uint8Array): number {
    return this.#streams.data(header.serial, bytes, this.#heardAt);
  }

  dataEnd(): void {
    // The packets' limits mean nothing to the volume.
  }

  malformed(): void {
    this.end("malformed message length");
  }

  #hole({ serial }: Readonly<Header>): void {
    try {
      this.#streams.hole(serial, this.#reader);
    } catch (error) {
      if (!(error instanceof XdrError)) this.#parts.crashed(this, error);
      this.end("a hole of its stream cannot be read");
    }
  }

  #reply(frame: Uint8Array, close: boolean): void {
    this.#closing ||= close;
    this.#sent(this.#socket.send(frame, true));
    if (this.#closed) return;
    if (this.#closing && this.#socket.unsent === 0) return this.end("closed on request");
    if (this.#input.holding) this.#parts.loop.defer(() => this.#resume());
  }
}
