import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { dispatch, unexpected } from "../../chassis/rpc/dispatch.ts";
import { type Answer, type Answerable, PendingReply } from "../../chassis/rpc/pending_reply.ts";
import type { Peer } from "../../chassis/rpc/program.ts";
import { type Header, MessageStatus, MessageType } from "../../chassis/wire/frame.ts";
import { isPing, KEEPALIVE_PROGRAM } from "../../chassis/wire/keepalive.ts";
import { ErrorDomain, rpcError, type RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { XdrError, XdrReader, type XdrWriter } from "../../chassis/wire/xdr.ts";
import { EPOLLERR, EPOLLIN, EPOLLOUT } from "../../os/constants.ts";
import { EAGAIN, EINTR, ENOBUFS, ENOMEM, strerror } from "../../os/errno.ts";
import type { SocketSys } from "../../os/sys.ts";
import type { Download, Upload } from "../model/storage_service.ts";
import type { ClientLink, ClientProgram, ClientSession, StreamReply } from "./client_link.ts";
import { DownloadStream } from "./download_stream.ts";
import { frameOf, PING_FRAME, PONG_FRAME } from "./frames.ts";
import { HeldInput } from "./held_input.ts";
import { type Disposal, MessageInput, type MessageUser } from "./message_input.ts";
import { OutputQueue, type Sent } from "./output_queue.ts";
import type { ReceiveBuffer } from "./receive_buffer.ts";
import { UploadStream } from "./upload_stream.ts";

/** Bytes that may wait for a client which does not read; with more, an event costs it the connection. */
const MOST_UNREAD = 4 << 20;
/** Bytes that wait for a client before no more of its calls are taken. */
const ENOUGH_UNREAD = 1 << 20;
/** Bytes that are held of a client that has to wait. */
const MOST_HELD = 1 << 18;
/** Streams at once on one connection. */
const MOST_STREAMS = 16;
/** A client that is not authenticated is read in such pieces. */
const ANONYMOUS_PIECE = 4096;
/** Bytes of a hole's description. */
const HOLE_LIMIT = 64;

const NOT_NOW: readonly number[] = [-EAGAIN, -EINTR, -ENOMEM, -ENOBUFS];
const WAIT: Disposal = { kind: "wait" };
const DROP: Disposal = { kind: "drop" };
const STREAM: Disposal = { kind: "stream" };

/** What all connections of a server share. */
export interface ClientParts {
  readonly sys: SocketSys;
  readonly loop: EventLoop;
  readonly buffer: ReceiveBuffer;
  readonly programs: readonly ClientProgram[];
  /** How many calls of one client are served at once. */
  readonly mostCalls: () => number;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** @param code 0 for success, else the libvirt error code */
  readonly served: (program: string, procedure: string, code: number, milliseconds: number) => void;
  /** The connection has ended: its descriptor may be closed now. */
  readonly ended: (client: ClientConnection, reason: string) => void;
  /** It has proved that it may be served. */
  readonly authenticated: (client: ClientConnection) => void;
  /** It wants to be asked whether it is still there. */
  readonly keptAlive: (client: ClientConnection) => void;
  /** An error that nobody has foreseen. */
  readonly crashed: (client: ClientConnection, error: unknown) => void;
}

/** The reply to a call that may begin a stream. */
class CallReply extends PendingReply implements StreamReply {
  readonly #client: ClientConnection;

  constructor(client: ClientConnection, header: Header, started: number) {
    super(client, header, undefined, started);
    this.#client = client;
  }

  upload(upload: Upload): void {
    const refusal = this.#client.streamRefusal(this.header.serial);
    // Answered when the volume is free again, whatever the client wants with it next.
    if (refusal !== undefined) return upload.abort(() => this.fail(refusal));
    this.#client.beginUpload(this.header, upload);
    this.ok();
  }

  download(download: Download): void {
    const refusal = this.#client.streamRefusal(this.header.serial);
    if (refusal !== undefined) {
      download.close();
      return this.fail(refusal);
    }
    this.#client.beginDownload(this.header, download);
    this.ok();
  }
}

/**
 * One client of the storage daemon: several calls under way at once, each answered when it is done, streams
 * between them, and messages that answer nothing.
 *
 * Memory is bounded whatever a client does: it is not read from while too much waits for it.
 */
export class ClientConnection implements Answerable, ClientLink, MessageUser {
  readonly fd: number;
  readonly peer: Peer;
  readonly clientId: number;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly connectedAt: number;
  readonly security: string;
  readonly #parts: ClientParts;
  readonly #sessions: ClientSession[];
  readonly #input = new MessageInput();
  readonly #held = new HeldInput();
  readonly #output: OutputQueue;
  readonly #reader = new XdrReader();
  /** Calls under way, with their programs. */
  readonly #calls = new Map<PendingReply, ClientProgram | undefined>();
  readonly #uploads = new Map<number, UploadStream>();
  readonly #downloads = new Map<number, DownloadStream>();
  #readOnly: boolean;
  #authenticated = false;
  #interest = 0;
  #closing = false;
  #closed = false;
  #feeding = false;
  /** Monotonic ms at which something came last, and at which a stream moved last. */
  #heardAt: number;
  #movedAt: number;

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
    this.#output = new OutputQueue(parts.sys, fd);
    this.#heardAt = this.#movedAt = parts.clock();
    this.#sessions = parts.programs.map((program) => program.connect(this));
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

  /** Streams under way. */
  get streams(): number {
    return this.#uploads.size + this.#downloads.size;
  }

  /** Bytes of memory that what it has sent takes. */
  get kept(): number {
    return this.#input.kept + this.#held.length;
  }

  /** Monotonic ms at which something came from it last. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Milliseconds for which its streams stand still because of it. @param clock monotonic ms */
  streamsIdle(clock: number): number {
    // What storage holds up is nothing that the client could help.
    if (!this.#streams().some(({ awaitsClient }) => awaitsClient)) this.#movedAt = clock;
    return clock - this.#movedAt;
  }

  /** Whether it is not read from at the moment, so that its silence says nothing. */
  get unread(): boolean {
    return (this.#interest & EPOLLIN) === 0;
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
    this.#sent(this.#output.push(PING_FRAME, true));
  }

  tell(program: number, procedure: number, encode: (writer: XdrWriter) => void): void {
    if (this.#closed) return;
    if (this.#output.length > MOST_UNREAD) return this.end("it does not read what it is sent");
    const header = {
      program,
      version: 1,
      procedure,
      type: MessageType.MESSAGE,
      serial: 1,
      status: MessageStatus.OK,
    };
    this.#sent(this.#output.push(frameOf(header, encode), true));
  }

  /** Ends the connection at once: nothing more is sent. Harmless when it has ended. */
  end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#interest !== 0) this.#parts.loop.remove(this.fd);
    this.#interest = 0;
    this.#calls.clear();
    for (const stream of this.#streams()) stream.abandon();
    this.#uploads.clear();
    this.#downloads.clear();
    for (const session of this.#sessions) session.disconnect();
    this.#parts.ended(this, reason);
  }

  /** Why a call may begin no stream; undefined: it may. Two streams of one serial could not be told apart. */
  streamRefusal(serial: number): RpcFailure | undefined {
    if (this.#uploads.has(serial) || this.#downloads.has(serial)) {
      return rpcError(
        ErrorDomain.RPC,
        `There is a stream with the serial ${serial} on this connection already`,
      );
    }
    if (this.streams < MOST_STREAMS) return undefined;
    return rpcError(ErrorDomain.RPC, `There are ${MOST_STREAMS} streams on this connection already`);
  }

  /** A call's stream takes what the client sends from now on. */
  beginUpload(call: Readonly<Header>, upload: Upload): void {
    if (this.#closed) return upload.abort();
    this.#movedAt = this.#parts.clock();
    this.#uploads.set(call.serial, new UploadStream(call, upload, this.#host()));
  }

  /** A call's stream is sent from now on. */
  beginDownload(call: Readonly<Header>, download: Download): void {
    if (this.#closed) return download.close();
    this.#movedAt = this.#parts.clock();
    const host = {
      ...this.#host(),
      sendPacket: (bytes: Uint8Array) => this.#sendStream(bytes, false),
      wanted: () => this.#parts.loop.defer(() => this.#pump()),
    };
    this.#downloads.set(call.serial, new DownloadStream(call, download, host));
    this.#parts.loop.defer(() => this.#pump());
  }

  #host() {
    return {
      send: (bytes: Uint8Array) => this.#sendStream(bytes, true),
      resume: () => this.#parts.loop.defer(() => this.#resume()),
      ended: ({ serial }: Readonly<Header>) => {
        this.#uploads.delete(serial);
        this.#downloads.delete(serial);
        this.#parts.loop.defer(() => this.#resume());
      },
    };
  }

  #streams(): (UploadStream | DownloadStream)[] {
    return [...this.#uploads.values(), ...this.#downloads.values()];
  }

  #sendStream(bytes: Uint8Array, lasting: boolean): void {
    if (this.#closed) return;
    this.#movedAt = this.#parts.clock();
    this.#sent(this.#output.push(bytes, lasting));
  }

  #onEvents(events: number): void {
    if ((events & EPOLLOUT) !== 0) {
      this.#sent(this.#output.flush());
      if (this.#closed) return;
      if (this.#output.length === 0) {
        if (this.#closing) return this.end("closed on request");
        if (this.#downloads.size > 0) this.#movedAt = this.#parts.clock();
        this.#pump();
        this.#resume();
      }
    }
    if (!this.#closed && (events & ~EPOLLOUT) !== 0) this.#read();
  }

  /** One packet of each download in a turn of the loop, so that others are served between the packets. */
  #pump(): void {
    for (const stream of this.#downloads.values()) {
      if (this.#closed || this.#output.length > 0) break;
      stream.pump();
    }
    this.#update();
  }

  #read(): void {
    const { buffer, sys, clock } = this.#parts;
    const most = this.#authenticated ? buffer.bytes.length : ANONYMOUS_PIECE;
    const received = sys.receiveInto(this.fd, buffer.pointer, most);
    if (received < 0) {
      if (!NOT_NOW.includes(received)) this.end(`receive failed: ${strerror(-received)}`);
      return;
    }
    if (received === 0) return this.end("end of stream");
    this.#heardAt = clock();
    const bytes = buffer.bytes.subarray(0, received);
    if (this.#held.length > 0) this.#held.add(bytes);
    else {
      const used = this.#feed(bytes);
      if (!this.#closed && used < received) this.#held.add(bytes.subarray(used));
    }
    this.#answerHeldPings();
    this.#update();
  }

  #feed(bytes: Uint8Array): number {
    this.#feeding = true;
    try {
      return this.#input.feed(bytes, this);
    } finally {
      this.#feeding = false;
    }
  }

  /** Goes on with what is held. */
  #resume(): void {
    if (this.#closed || this.#feeding) return;
    if (this.#held.length > 0) {
      const used = this.#feed(this.#held.bytes);
      if (this.#closed) return;
      this.#held.consume(used);
    }
    this.#update();
  }

  /** Pings that wait behind calls are answered all the same. */
  #answerHeldPings(): void {
    if (this.#closed || !this.#input.betweenMessages) return;
    while (this.#held.takePing()) this.#sent(this.#output.push(PONG_FRAME, true));
  }

  #update(): void {
    if (this.#closed) return;
    const unsent = this.#output.length;
    const reading = !this.#closing && this.#held.length < MOST_HELD &&
      unsent < ENOUGH_UNREAD &&
      !(this.#held.length > 0 && !this.#input.betweenMessages);
    const pumping = unsent === 0 && [...this.#downloads.values()].some((stream) => stream.sending);
    // While it is not read from, its end is waited for.
    const wanted = (reading ? EPOLLIN : EPOLLERR) | (unsent > 0 || pumping ? EPOLLOUT : 0);
    if (wanted === this.#interest) return;
    const { loop } = this.#parts;
    if (this.#interest === 0) loop.add(this.fd, wanted, (events) => this.#onEvents(events));
    else loop.modify(this.fd, wanted);
    this.#interest = wanted;
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
        const full = this.#calls.size >= this.#parts.mostCalls() || this.#output.length >= ENOUGH_UNREAD;
        if (full || this.#closing) return WAIT;
        return { kind: "keep", limit: this.#programOf(header)?.payloadLimit(this) ?? 0 };
      }
      case MessageType.MESSAGE:
        return header.program === KEEPALIVE_PROGRAM ? { kind: "keep", limit: 0 } : DROP;
      case MessageType.STREAM:
      case MessageType.STREAM_HOLE: {
        const upload = this.#uploads.get(header.serial);
        if (upload?.blocked === true) return WAIT;
        if (header.type === MessageType.STREAM_HOLE) return { kind: "keep", limit: HOLE_LIMIT };
        if (header.status !== MessageStatus.CONTINUE) return { kind: "keep", limit: 0 };
        return upload === undefined ? DROP : STREAM;
      }
      default:
        return DROP;
    }
  }

  message(header: Readonly<Header>, bytes: Uint8Array, start: number, end: number): void {
    this.#reader.reset(bytes, start, end);
    switch (header.type) {
      case MessageType.MESSAGE:
        if (isPing(header)) this.#sent(this.#output.push(PONG_FRAME, true));
        return;
      case MessageType.STREAM:
        return this.#endStream(header);
      case MessageType.STREAM_HOLE:
        return this.#hole(header);
      default:
        return this.#call(header);
    }
  }

  data(header: Readonly<Header>, bytes: Uint8Array): number {
    const taken = this.#uploads.get(header.serial)?.data(bytes) ?? bytes.length;
    if (taken > 0) this.#movedAt = this.#heardAt;
    return taken;
  }

  dataEnd(): void {
    // The packets' limits mean nothing to the volume.
  }

  malformed(): void {
    this.end("malformed message length");
  }

  #endStream({ serial, status }: Readonly<Header>): void {
    const upload = this.#uploads.get(serial);
    if (upload !== undefined) return upload.end(status);
    this.#downloads.get(serial)?.end();
  }

  #hole({ serial }: Readonly<Header>): void {
    try {
      this.#uploads.get(serial)?.hole(this.#reader);
    } catch (error) {
      if (!(error instanceof XdrError)) this.#parts.crashed(this, error);
      this.end("a hole of its stream cannot be read");
    }
  }

  #programOf({ program, version }: Readonly<Header>): ClientProgram | undefined {
    return this.#parts.programs.find((each) => each.number === program && each.version === version);
  }

  #call(header: Readonly<Header>): void {
    const program = this.#programOf(header);
    const reply = new CallReply(this, { ...header }, this.#parts.clock());
    this.#calls.set(reply, program);
    const session = program === undefined ? undefined : this.#sessions[this.#parts.programs.indexOf(program)];
    const failure = dispatch(session, this.#reader, reply);
    if (failure !== undefined) this.#crashed(reply, failure.error);
  }

  #crashed(reply: PendingReply, error: unknown): void {
    this.#parts.crashed(this, error);
    if (!reply.given) reply.fail(unexpected());
    else if (this.#calls.has(reply)) this.end("a reply failed");
  }

  /** A call is answered. Called by its reply, once. */
  answer(reply: PendingReply, { code, encode, close }: Answer): void {
    if (this.#closed || !this.#calls.has(reply)) return;
    const { header, started } = reply;
    const program = this.#calls.get(reply);
    const procedure = program?.procedureNames.get(header.procedure);
    if (program !== undefined && procedure !== undefined) {
      this.#parts.served(program.name, procedure, code, this.#parts.clock() - started);
    }
    header.type = MessageType.REPLY;
    header.status = code === 0 ? MessageStatus.OK : MessageStatus.ERROR;
    const frame = frameOf(header, encode);
    this.#calls.delete(reply);
    this.#closing ||= close;
    this.#sent(this.#output.push(frame, true));
    if (this.#closed) return;
    if (this.#closing && this.#output.length === 0) return this.end("closed on request");
    if (this.#held.length > 0) this.#parts.loop.defer(() => this.#resume());
  }
}
