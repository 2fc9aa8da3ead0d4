import { invariant } from "../../base/invariant.ts";
import { EPOLLERR, EPOLLIN, EPOLLOUT } from "../../os/constants.ts";
import { strerror } from "../../os/errno.ts";
import { emptyHeader, FRAME_MIN, MessageStatus, MessageType, readHeader } from "../wire/frame.ts";
import { frameTotal } from "../wire/frame_total.ts";
import { isPing, writePong } from "../wire/keepalive.ts";
import { XdrReader } from "../wire/xdr.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { dispatch, unexpected } from "./dispatch.ts";
import type { DurableClient, InputBytes } from "./durability.ts";
import { OUTSIDE_TURN, type ReplyBytes } from "./exchange.ts";
import type { BudgetedClient } from "./input_budget.ts";
import { InputBuffer } from "./input_buffer.ts";
import { type Answer, type Answerable, PendingReply } from "./pending_reply.ts";
import type { Peer, ProgramConnection } from "./program.ts";
import { READ_SIZE, wantedBytes, worthKeeping } from "./read_size.ts";
import { NOT_NOW, replyBytes, sendReply } from "./reply_writer.ts";

/**
 * Bytes kept of what a client sends behind a request that is still in service; beyond, it waits in the
 * kernel.
 */
const READ_AHEAD = 65536;

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
export class Connection implements Answerable, BudgetedClient, DurableClient {
  readonly fd: number;
  readonly peer: Peer;
  /** Names it in the daemon's life, over all servers, re-execs and crashes. */
  readonly key: number;
  readonly #parts: ConnectionParts;
  readonly #programs: ProgramConnection[];
  readonly #header = emptyHeader();
  readonly #reader = new XdrReader();
  #input: InputBuffer | undefined;
  #service: Service = { kind: "idle" };
  #interest = 0;
  #endOfInput = false;
  #closed = false;
  /** Kept bytes of the request that was dispatched last. */
  #requestLength = 0;
  /** Where it ended, in bytes from the start of its turn's source. */
  #requestEnd = 0;

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
  get unserved(): InputBytes {
    return this.#waiting(this.#service.kind === "running" ? this.#service.frame : undefined);
  }

  /**
   * Received bytes whose requests are not durable: {@link unserved}, and a request that is answered but
   * settling.
   */
  get unsettled(): InputBytes {
    const { kind } = this.#service;
    return this.#waiting(kind === "running" || kind === "settling" ? this.#service.frame : undefined);
  }

  #waiting(frame: Uint8Array | undefined): InputBytes {
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
  restore(unserved: InputBytes, unsent: Uint8Array): void {
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
    this.#parts.exchange.withdrawReply();
    for (const program of this.#programs) program.disconnect();
    this.#parts.ended(this.peer.clientId, reason);
  }

  #onEvents(events: number): void {
    if (this.#service.kind === "writing") {
      this.#send(this.#service.rest, this.#service.close, OUTSIDE_TURN, "recorded");
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
      input === undefined || this.busy ? READ_SIZE : wantedBytes(input),
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
      const { programs } = this.#parts;
      input.append(chunk, this.busy ? Infinity : worthKeeping(input, programs, this.#header));
      const kept = input.length - before;
      this.#inputChanged({ bytes: chunk.subarray(0, kept), dropped: received - kept });
      return this.#resume(true);
    }
    const used = this.#serve(exchange.input, received, 0);
    if (this.#closed) return;
    if (used < received) {
      this.#input = new InputBuffer();
      this.#input.append(exchange.input.subarray(used, received));
    }
    if (used < received || this.running) this.#inputChanged();
    if (used < received && this.busy && this.#answerPings()) this.#inputChanged();
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
        if (used > 0) input.consume(used);
      }
      if (!recorded || used > 0) this.#inputChanged();
      if (this.busy && this.#answerPings()) this.#inputChanged();
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

  #inputChanged(added?: InputBytes): void {
    this.#parts.durability.inputChanged(this, this.#parts.exchange.turn, added);
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
    if (isPing(header)) return this.#pong(at + kept);
    this.#requestLength = kept;
    this.#requestEnd = at + kept;
    const index = this.#parts.programs.findIndex((program) =>
      program.number === header.program && program.version === header.version
    );
    const withFds = header.type === MessageType.CALL_WITH_FDS;
    if (header.type !== MessageType.CALL && !(withFds && index >= 0)) return;
    const program = this.#parts.programs[index];
    const reply = new PendingReply(this, header, program, this.#parts.clock());
    this.#service = { kind: "running", reply, frame: undefined };
    this.#reader.reset(bytes, at + FRAME_MIN + (withFds ? 4 : 0), at + kept);
    const failure = dispatch(this.#programs[index], this.#reader, reply);
    if (failure !== undefined) this.#crashed(reply, failure.error);
    this.#keepFrame(bytes, at, kept);
  }

  /** A request that still waits for something: its bytes belong to the exchange, so they are copied. */
  #keepFrame(bytes: Uint8Array, at: number, length: number): void {
    const service = this.#service;
    if (service.kind !== "running" && service.kind !== "settling") return;
    service.frame ??= this.#parts.copies.copy(bytes, at, at + length);
  }

  /** A procedure, or the answer to it, failed in a way that nobody has foreseen. */
  #crashed(reply: PendingReply, error: unknown): void {
    this.#parts.crashed(this.peer.clientId, error);
    if (!reply.given) reply.fail(unexpected());
    // Its reply could not be written, and there is no second one.
    else if (this.#service.kind === "running") this.end("a reply failed");
  }

  /** The request in service is answered. Called by its reply, once. */
  answer(reply: PendingReply, { code, encode, close }: Answer): void {
    if (this.#closed || this.#service.kind !== "running" || this.#service.reply !== reply) return;
    const { frame } = this.#service;
    const { header } = reply;
    const { exchange } = this.#parts;
    this.#count(reply, code);
    header.type = MessageType.REPLY;
    header.status = code === 0 ? MessageStatus.OK : MessageStatus.ERROR;
    const bytes = replyBytes(exchange, header, encode);
    this.#service = { kind: "settling", bytes, close, frame };
    const atOnce = frame === undefined;
    const settled = this.#parts.durability.settle(
      {
        key: this.key,
        reply: bytes,
        length: frame?.length ?? this.#requestLength,
        atOnce,
        turn: exchange.turn,
        end: this.#requestEnd,
      },
      (later) => this.#settled(later),
    );
    // The exchange serves others meanwhile.
    if (settled === "later") this.#service = { kind: "settling", bytes: bytes.slice(), close, frame };
    else if (atOnce) this.#send(bytes, close, this.#requestEnd, settled);
    else this.#settled(settled);
  }

  #count({ program, header, started }: PendingReply, code: number): void {
    if (program === undefined) return;
    const { observer, clock } = this.#parts;
    const procedure = program.procedureNames.get(header.procedure) ?? "unknown";
    observer.served(program.name, procedure, code, clock() - started);
  }

  /** What the request did is settled, in another turn than the one in which it came. */
  #settled(how: "volatile" | "promised"): void {
    if (this.#closed) return this.#parts.exchange.withdrawReply();
    const service = this.#service;
    invariant(service.kind === "settling", `A request was settled while its client was ${service.kind}`);
    this.#send(service.bytes, service.close, OUTSIDE_TURN, how);
    if (!this.#closed && !this.busy) this.#resume();
    else this.#settleInput();
  }

  /**
   * Sends a reply, or what was left of one, as far as the client reads. @param answers see
   * Exchange.beginReply()
   */
  #send(bytes: Uint8Array, close: boolean, answers: number, where: ReplyBytes): void {
    const { exchange, durability } = this.#parts;
    exchange.beginReply(this.key, answers, where);
    const sent = sendReply(exchange, this.fd, bytes);
    if (sent < 0) return this.end(`send failed: ${strerror(-sent)}`);
    if (sent < bytes.length) {
      this.#service = { kind: "writing", rest: bytes.slice(sent), close };
      durability.outputChanged(this, exchange.lastReply);
      return this.#update();
    }
    const waited = this.#service.kind === "writing";
    this.#service = { kind: "idle" };
    if (waited) durability.outputChanged(this, exchange.lastReply);
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
    while (input !== undefined && !this.#closed) {
      const length = input.findPing(this.#header);
      if (length === 0 || this.#service.kind === "writing") return answered;
      input.takePing(length);
      this.#pong(OUTSIDE_TURN);
      answered = true;
    }
    return answered && !this.#closed;
  }

  /** Answers a keepalive message, also while a request is in service. */
  #pong(answers: number): void {
    const { exchange } = this.#parts;
    const length = writePong(exchange.output, 0);
    const service = this.#service;
    exchange.beginReply(this.key, answers, "volatile");
    const taken = exchange.send(this.fd, length);
    if (taken === length) return exchange.finishReply();
    if (taken < 0 && !NOT_NOW.includes(taken)) return this.end(`send failed: ${strerror(-taken)}`);
    if (service.kind === "idle") {
      const rest = exchange.output.slice(Math.max(0, taken), length);
      this.#service = { kind: "writing", rest, close: false };
      this.#parts.durability.outputChanged(this, exchange.lastReply);
      this.#update();
    } else if (taken > 0) {
      // The reply in service would be written into the middle of it.
      this.end("the client does not read");
    }
  }
}
