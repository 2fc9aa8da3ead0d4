import { EPOLLERR, EPOLLIN, EPOLLOUT } from "../../os/constants.ts";
import { EAGAIN, EINTR, ENOBUFS, ENOMEM, strerror } from "../../os/errno.ts";
import {
  emptyHeader,
  finishFrame,
  FRAME_MIN,
  MessageStatus,
  MessageType,
  readHeader,
  writeHeader,
} from "../wire/frame.ts";
import { ErrorDomain, rpcError, RpcFailure } from "../wire/rpc_error.ts";
import { isPing, writePong } from "../wire/keepalive.ts";
import { XdrError, XdrReader, XdrWriter } from "../wire/xdr.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { OUTPUT_SIZE } from "./exchange.ts";
import { frameTotal } from "./frame_total.ts";
import type { BudgetedClient } from "./input_budget.ts";
import { InputBuffer } from "./input_buffer.ts";
import { PendingReply } from "./pending_reply.ts";
import type { Peer, ProgramConnection } from "./program.ts";

/**
 * Bytes taken from a socket at once: enough for a request with a hash as its name. A client that pipelines
 * thousands of requests gets two or three of them served in its turn, and the others are not kept waiting.
 */
const READ_SIZE = 160;
/** The same of a message that is longer: for as long as copying it takes, the others wait. */
const PIECE_SIZE = 16384;
/**
 * Bytes kept of what a client sends behind a request that is still in service; beyond, it waits in the
 * kernel.
 */
const READ_AHEAD = 65536;

/**
 * The kernel could not do it now, but the connection is none the worse: the socket stays ready, so the event
 * comes again. Ending it would kill the guest behind it.
 */
const NOT_NOW: readonly number[] = [-EAGAIN, -EINTR, -ENOMEM, -ENOBUFS];

const NOTHING = new Uint8Array(0);

/** A request between dispatch and the last byte of its reply. */
type Service =
  | { kind: "idle" }
  /**
   * Running. `frame` is kept once the procedure has returned without a reply, so that a restart can serve it
   * again.
   */
  | { kind: "running"; reply: PendingReply; frame: Uint8Array | undefined }
  /** Answered, but what it did is not durable yet. */
  | { kind: "settling"; bytes: Uint8Array; close: boolean; frame: Uint8Array | undefined }
  /** Answered; the client does not read. */
  | { kind: "writing"; rest: Uint8Array; close: boolean };

/**
 * One client: its bytes in and out, one request in service at a time, order kept. docs/protocol.md, Framing.
 *
 * Memory is bounded whatever a client does: nothing is read while it does not read its replies.
 */
export class Connection implements BudgetedClient {
  readonly fd: number;
  readonly peer: Peer;
  /** Names it in the daemon's life, over all servers, re-execs and crashes. */
  readonly key: number;
  readonly #parts: ConnectionParts;
  readonly #programs: ProgramConnection[];
  readonly #header = emptyHeader();
  readonly #reader = new XdrReader();
  #input: InputBuffer | undefined;
  /**
   * Bytes at the start of the input that were looked through for keepalive messages while a request is in
   * service.
   */
  #scanned = 0;
  #service: Service = { kind: "idle" };
  #interest = 0;
  #endOfInput = false;
  #closed = false;
  /** Kept bytes of the request that was dispatched last. */
  #requestLength = 0;

  /**
   * @param fd connected socket, non-blocking; stays the server's
   * @param peer its other end
   */
  constructor(parts: ConnectionParts, fd: number, peer: Peer) {
    this.#parts = parts;
    this.fd = fd;
    this.peer = peer;
    this.key = parts.keyOf(peer.clientId);
    this.#programs = parts.programs.map((program) => program.connect(peer));
  }

  /** Session of the program with this number; undefined when the server does not offer it. */
  session(program: number): unknown {
    const index = this.#parts.programs.findIndex((candidate) => candidate.number === program);
    return this.#programs[index]?.session;
  }

  /** Begins to read. */
  start(): void {
    this.#update();
    if (this.#input !== undefined) this.#parts.loop.defer(() => this.#resume());
  }

  /** Whether a request is in service or its reply not wholly sent. */
  get busy(): boolean {
    return this.#service.kind !== "idle";
  }

  /** Whether a request is being worked on: it has not been answered, or what it did is not durable. */
  get running(): boolean {
    return this.#service.kind === "running" || this.#service.kind === "settling";
  }

  /** Whether it has ended. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Received bytes that a restarted daemon must serve (again): the request in service first. */
  get unserved(): { bytes: Uint8Array; dropped: number } {
    return this.#waiting(this.#service.kind === "running" ? this.#service.frame : undefined);
  }

  /**
   * Received bytes whose requests are not durable: {@link unserved}, and a request that is answered but
   * settling.
   */
  get unsettled(): { bytes: Uint8Array; dropped: number } {
    const { kind } = this.#service;
    return this.#waiting(kind === "running" || kind === "settling" ? this.#service.frame : undefined);
  }

  #waiting(frame: Uint8Array | undefined): { bytes: Uint8Array; dropped: number } {
    const waiting = this.#input?.bytes ?? NOTHING;
    const dropped = this.#input?.dropped ?? 0;
    if (frame === undefined) return { bytes: waiting, dropped };
    if (waiting.length === 0) return { bytes: frame, dropped };
    const all = new Uint8Array(frame.length + waiting.length);
    all.set(frame);
    all.set(waiting, frame.length);
    return { bytes: all, dropped };
  }

  /** Reply bytes that were not sent yet. */
  get unsent(): Uint8Array {
    if (this.#service.kind === "settling") return this.#service.bytes;
    return this.#service.kind === "writing" ? this.#service.rest : NOTHING;
  }

  /**
   * Puts back what an earlier image of the daemon had received and not served, and not sent. Before {@link
   * start}.
   */
  restore(unserved: { bytes: Uint8Array; dropped: number }, unsent: Uint8Array): void {
    if (unserved.bytes.length + unserved.dropped > 0) {
      this.#input = InputBuffer.restored(unserved.bytes, unserved.dropped);
    }
    if (unsent.length > 0) this.#service = { kind: "writing", rest: unsent.slice(), close: false };
  }

  /** Ends the connection at once: nothing more is sent. Harmless when it has ended. */
  end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#interest !== 0) this.#parts.loop.remove(this.fd);
    this.#interest = 0;
    this.#input = undefined;
    this.#service = { kind: "idle" };
    this.#parts.budget.grant(this, 0);
    for (const program of this.#programs) program.disconnect();
    this.#parts.ended(this, reason);
  }

  #onEvents(events: number): void {
    if (this.#service.kind === "writing") {
      this.#flush(this.#service.rest, this.#service.close, false, true);
      if (this.#closed || this.busy) return;
      this.#resume();
    } else if ((events & ~EPOLLOUT) !== 0) {
      this.#read();
    }
  }

  #read(): void {
    const input = this.#input;
    const { exchange } = this.#parts;
    const received = exchange.receive(
      this.fd,
      input === undefined ? READ_SIZE : this.#wanted(input),
      this.key,
    );
    if (received < 0) {
      if (!NOT_NOW.includes(received)) this.end(`receive failed: ${strerror(-received)}`);
      return;
    }
    if (received === 0) {
      this.#endOfInput = true;
      return this.#settleInput();
    }
    if (input !== undefined) {
      const chunk = exchange.input.subarray(0, received);
      const before = input.length;
      input.append(chunk, this.busy ? Infinity : this.#keep(input));
      const kept = input.length - before;
      this.#parts.durability.inputChanged(this, { bytes: chunk.subarray(0, kept), dropped: received - kept });
      return this.#resume(true);
    }
    const used = this.#serve(exchange.input, received, 0);
    if (this.#closed) return;
    if (used < received) {
      this.#input = new InputBuffer();
      this.#input.append(exchange.input.subarray(used, received));
      this.#scanned = 0;
    }
    if (used < received || this.running) this.#parts.durability.inputChanged(this);
    if (used < received && this.busy && this.#answerPings()) this.#parts.durability.inputChanged(this);
    if (this.#closed) return;
    if (used < received || this.busy) this.#settleInput();
  }

  /**
   * Serves what waits in the input buffer, as far as it goes. @param recorded whether the buffer as it is now
   * is durable
   */
  #resume(recorded = false): void {
    if (this.#closed) return;
    const input = this.#input;
    if (input !== undefined) {
      let used = 0;
      if (!this.busy) {
        this.#parts.exchange.serveStored(this.key);
        used = this.#serve(input.bytes, input.length, input.dropped);
        if (this.#closed) return;
        if (used > 0) {
          input.consume(used);
          this.#scanned = 0;
        }
      }
      if (!recorded || used > 0) this.#parts.durability.inputChanged(this);
      if (this.busy && this.#answerPings()) this.#parts.durability.inputChanged(this);
      if (input.empty) this.#input = undefined;
    }
    this.#settleInput();
  }

  /** After the input was looked at: end if there is nothing to come, else wait for the right events. */
  #settleInput(): void {
    if (this.#closed) return;
    // Requests that came before the end of input are served; half a message is not.
    if (this.#endOfInput && !this.busy) return this.end("end of stream");
    this.#update();
  }

  roomForInput(): void {
    if (!this.#closed) this.#update();
  }

  #update(): void {
    const room = this.#parts.budget.grant(this, this.#input?.length ?? 0) || this.busy;
    const writing = this.#service.kind === "writing";
    const full = this.busy && this.#input !== undefined && this.#input.length >= READ_AHEAD;
    const reading = !this.#endOfInput && !writing && !full;
    // Without room its end is waited for: the little that comes before that is read all the same.
    const wanted = (reading ? room ? EPOLLIN : EPOLLERR : 0) | (writing ? EPOLLOUT : 0);
    if (wanted === this.#interest) return;
    // A descriptor with nothing to wait for is taken out: a hang-up would be reported over and over.
    if (wanted === 0) this.#parts.loop.remove(this.fd);
    else if (this.#interest === 0) this.#parts.loop.add(this.fd, wanted, (events) => this.#onEvents(events));
    else this.#parts.loop.modify(this.fd, wanted);
    this.#interest = wanted;
  }

  /**
   * How many bytes to read on top of a buffer: exactly the rest of its first message, if that is incomplete.
   */
  #wanted(input: InputBuffer): number {
    if (this.busy) return READ_SIZE;
    const total = frameTotal(input.bytes, 0, input.length);
    const have = input.length + input.dropped;
    if (total > have) return Math.min(total - have, PIECE_SIZE);
    return total === 0 ? Math.max(1, FRAME_MIN + 4 - have) : READ_SIZE;
  }

  /** How much of the first message in a buffer is worth keeping. */
  #keep(input: InputBuffer): number {
    if (input.length < FRAME_MIN) return Infinity;
    readHeader(input.bytes, 0, this.#header);
    const number = this.#header.program;
    const program = this.#parts.programs.find((candidate) => candidate.number === number);
    return FRAME_MIN + 4 + (program?.maxPayload ?? 0);
  }

  /**
   * Serves messages from the start of `bytes` until one is incomplete or in service.
   *
   * @param dropped bytes of the first message that were not kept
   * @returns how many bytes were used up
   */
  #serve(bytes: Uint8Array, length: number, dropped: number): number {
    let at = 0;
    while (at < length && !this.#closed && !this.busy) {
      const missing = at === 0 ? dropped : 0;
      const total = frameTotal(bytes, at, length - at);
      if (total < 0) {
        this.end("malformed message length");
        return length;
      }
      if (total === 0 || total > length - at + missing) break;
      const kept = total - missing;
      this.#message(bytes, at, kept);
      at += kept;
    }
    return at;
  }

  #message(bytes: Uint8Array, at: number, kept: number): void {
    const header = this.#header;
    readHeader(bytes, at, header);
    this.#parts.exchange.end = at + kept;
    if (isPing(header)) return this.#pong(true);
    this.#requestLength = kept;
    const index = this.#parts.programs.findIndex((program) =>
      program.number === header.program && program.version === header.version
    );
    const withFds = header.type === MessageType.CALL_WITH_FDS;
    if (header.type !== MessageType.CALL && !(withFds && index >= 0)) return;
    const program = this.#parts.programs[index];
    const reply = new PendingReply(this, header, program, this.#parts.clock());
    this.#service = { kind: "running", reply, frame: undefined };
    this.#dispatch(reply, index, bytes, at + FRAME_MIN + (withFds ? 4 : 0), at + kept);
    this.#keepFrame(bytes, at, kept);
  }

  /** A request that still waits for something: its bytes belong to the exchange, so they are copied. */
  #keepFrame(bytes: Uint8Array, at: number, length: number): void {
    const service = this.#service;
    if (service.kind !== "running" && service.kind !== "settling") return;
    service.frame ??= this.#parts.copies.copy(bytes, at, at + length);
  }

  #dispatch(reply: PendingReply, index: number, bytes: Uint8Array, start: number, end: number): void {
    const { header } = reply;
    const connection = this.#programs[index];
    if (connection === undefined) {
      return reply.fail(
        rpcError(ErrorDomain.RPC, `Cannot find program ${header.program} version ${header.version}`),
      );
    }
    if (header.status !== MessageStatus.OK) {
      return reply.fail(rpcError(ErrorDomain.RPC, `Unexpected message status ${header.status}`));
    }
    try {
      this.#reader.reset(bytes, start, end);
      if (!connection.call(header.procedure, this.#reader, reply)) {
        reply.fail(rpcError(ErrorDomain.RPC, `unknown procedure: ${header.procedure}`));
      }
    } catch (error) {
      if (error instanceof RpcFailure && !reply.given) return reply.fail(error);
      if (error instanceof XdrError && !reply.given) {
        return reply.fail(rpcError(ErrorDomain.RPC, "Unable to decode message payload"));
      }
      this.#parts.crashed(this, error);
      if (!reply.given) {
        reply.fail(rpcError(ErrorDomain.RPC, "The request failed unexpectedly; see the daemon's log"));
      } else if (this.#service.kind === "running") {
        // Its reply could not be written, and there is no second one.
        this.end("a reply failed");
      }
    }
  }

  /** The request in service is answered. Called by its reply, once. */
  answer(
    reply: PendingReply,
    code: number,
    encode: ((writer: XdrWriter) => void) | undefined,
    close: boolean,
  ): void {
    if (this.#closed || this.#service.kind !== "running" || this.#service.reply !== reply) return;
    const { frame } = this.#service;
    const later = frame !== undefined;
    const { header } = reply;
    const { exchange, clock, observer, durability } = this.#parts;
    if (reply.program !== undefined) {
      const procedure = reply.program.procedureNames.get(header.procedure) ?? "unknown";
      observer.served(reply.program.name, procedure, code, clock() - reply.started);
    }
    header.type = MessageType.REPLY;
    header.status = code === 0 ? MessageStatus.OK : MessageStatus.ERROR;
    let bytes: Uint8Array;
    if (encode === undefined) {
      writeHeader(exchange.output, 0, header, 0);
      bytes = exchange.output.subarray(0, FRAME_MIN);
    } else {
      const writer = new XdrWriter();
      const start = writer.reserve(FRAME_MIN);
      encode(writer);
      finishFrame(writer, start, header);
      bytes = writer.bytes;
    }
    this.#service = { kind: "settling", bytes, close, frame };
    const proceed = () => {
      if (this.#closed) return;
      this.#flush(bytes, close, false, true);
      if (!this.#closed && !this.busy) this.#resume();
      else this.#settleInput();
    };
    const length = frame?.length ?? this.#requestLength;
    const settled = durability.settle(this, { reply: bytes, length, atOnce: !later }, proceed);
    if (settled === "later") {
      // The exchange serves others meanwhile.
      bytes = bytes.slice();
      this.#service = { kind: "settling", bytes, close, frame };
      return;
    }
    if (later) return proceed();
    this.#flush(bytes, close, true, settled === "recorded");
  }

  /**
   * @param answers whether the bytes answer the message of the current turn
   * @param recorded whether they are durable
   */
  #flush(bytes: Uint8Array, close: boolean, answers: boolean, recorded: boolean): void {
    const { exchange } = this.#parts;
    exchange.beginReply(this.key, answers, recorded);
    let sent = 0;
    while (sent < bytes.length) {
      const chunk = Math.min(OUTPUT_SIZE, bytes.length - sent);
      if (bytes.buffer !== exchange.output.buffer) exchange.output.set(bytes.subarray(sent, sent + chunk));
      const taken = exchange.send(this.fd, chunk);
      if (NOT_NOW.includes(taken)) break;
      if (taken < 0) return this.end(`send failed: ${strerror(-taken)}`);
      sent += taken;
      if (taken < chunk && bytes.buffer === exchange.output.buffer) break;
    }
    if (sent < bytes.length) {
      this.#service = { kind: "writing", rest: bytes.slice(sent), close };
      this.#parts.durability.outputChanged(this);
      return this.#update();
    }
    const waited = this.#service.kind === "writing";
    exchange.finishReply();
    this.#service = { kind: "idle" };
    if (waited) this.#parts.durability.outputChanged(this);
    if (close) this.end("closed on request");
  }

  /**
   * While a request is in service, keepalive messages behind it are answered and taken out of the queue.
   *
   * @returns whether the queue has changed
   */
  #answerPings(): boolean {
    const input = this.#input;
    let answered = false;
    if (input === undefined || input.dropped > 0) return answered;
    while (!this.#closed && this.#scanned < input.length) {
      const bytes = input.bytes;
      const total = frameTotal(bytes, this.#scanned, input.length - this.#scanned);
      if (total <= 0 || total > input.length - this.#scanned) return answered;
      readHeader(bytes, this.#scanned, this.#header);
      if (!isPing(this.#header)) {
        this.#scanned += total;
        continue;
      }
      if (this.#service.kind === "writing") return answered;
      input.remove(this.#scanned, total);
      this.#pong(false);
      answered = true;
    }
    return answered && !this.#closed;
  }

  /** Answers a keepalive message, also while a request is in service. */
  #pong(inTurn: boolean): void {
    const { exchange } = this.#parts;
    const length = writePong(exchange.output, 0);
    const service = this.#service;
    exchange.beginReply(this.key, inTurn, false);
    const taken = exchange.send(this.fd, length);
    if (taken === length) return exchange.finishReply();
    if (taken < 0 && !NOT_NOW.includes(taken)) return this.end(`send failed: ${strerror(-taken)}`);
    if (service.kind === "idle") {
      const rest = exchange.output.slice(Math.max(0, taken), length);
      this.#service = { kind: "writing", rest, close: false };
      this.#parts.durability.outputChanged(this);
      this.#update();
    } else if (taken > 0) {
      // The reply in service would be written into the middle of it.
      this.end("the client does not read");
    }
  }
}
