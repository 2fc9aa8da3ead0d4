import { EPOLLERR, EPOLLIN, EPOLLOUT } from "../../os/constants.ts";
import { strerror } from "../../os/errno.ts";
import { NOT_NOW } from "../../os/not_now.ts";
import { emptyHeader, MessageType, readHeader } from "../wire/frame.ts";
import { frameTotal } from "../wire/frame_total.ts";
import { isPing } from "../wire/keepalive.ts";
import { ClientPrograms } from "./client_programs.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import type { InputBytes } from "./durability.ts";
import { OUTSIDE_TURN } from "./exchange.ts";
import type { BudgetedClient } from "./input_budget.ts";
import { InputBuffer, joinedInput } from "./input_buffer.ts";
import { Interest } from "./interest.ts";
import type { Peer } from "./program.ts";
import { beginsWhole, nextReadSize, READ_SIZE, wantedBytes, worthKeeping } from "./read_size.ts";
import { RequestInService, type ServedClient } from "./request_in_service.ts";

/**
 * Bytes kept of what a client sends behind a request that is still in service; beyond, it waits in the
 * kernel. They are recorded anew with each request that is served of them, so they are few.
 */
const READ_AHEAD = 4096;

/**
 * One client: its bytes in, and its requests one after the other, in their order. docs/protocol.md, Framing.
 *
 * Memory is bounded whatever a client does: nothing is read while it does not read its replies.
 */
export class Connection implements BudgetedClient, ServedClient {
  readonly fd: number;
  readonly peer: Peer;
  /** Names it in the daemon's life, over all servers, re-execs and crashes. */
  readonly key: number;
  readonly #parts: ConnectionParts;
  readonly #programs: ClientPrograms;
  readonly #request: RequestInService;
  readonly #interest: Interest;
  readonly #header = emptyHeader();
  #input: InputBuffer | undefined;
  #readSize = READ_SIZE;
  #endOfInput = false;
  /** Whether it goes on, in the next turn, with whole messages that wait in the input buffer. */
  #goesOn = false;
  #closed = false;

  /**
   * @param fd connected socket, non-blocking; stays the server's
   * @param peer its other end
   */
  constructor(parts: ConnectionParts, fd: number, peer: Peer) {
    this.#parts = parts;
    this.fd = fd;
    this.peer = peer;
    this.key = parts.keyOf(peer.clientId);
    this.#programs = new ClientPrograms(parts.programs, peer);
    this.#request = new RequestInService(parts, this);
    this.#interest = new Interest(parts.loop, fd, (events) => this.#onEvents(events));
  }

  /** Session of the program with this number; undefined when the server does not offer it. */
  session(program: number): unknown {
    return this.#programs.session(program);
  }

  /**
   * Begins to read. One that an earlier image has left may have ended by then, when what it still had to be
   * sent could not be: its descriptor is somebody else's.
   */
  start(): void {
    if (this.#closed) return;
    this.update();
    if (this.#input !== undefined) this.#parts.loop.defer(() => this.#resume());
  }

  /** Whether a request is in service or its reply not wholly sent. */
  get busy(): boolean {
    return this.#request.busy;
  }

  /**
   * Whether a request is being worked on, or is about to be: it has not been answered, or what it did is not
   * durable.
   */
  get running(): boolean {
    return this.#request.running || this.#goesOn;
  }

  /** Whether it has ended. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Received bytes that a restarted daemon must serve (again): the request in service first. */
  get unserved(): InputBytes {
    return joinedInput(this.#request.unserved, this.#input);
  }

  /**
   * Received bytes whose requests are not durable: {@link unserved}, and a request that is answered but
   * settling.
   */
  get unsettled(): InputBytes {
    return joinedInput(this.#request.unsettled, this.#input);
  }

  /** Reply bytes that were not sent yet. */
  get unsent(): Uint8Array {
    return this.#request.unsent;
  }

  /**
   * Puts back what an earlier image of the daemon had received and not served, and not sent. Before {@link
   * start}.
   */
  restore(unserved: InputBytes, unsent: Uint8Array): void {
    if (unserved.bytes.length + unserved.dropped > 0) {
      this.#input = InputBuffer.restored(unserved.bytes, unserved.dropped);
    }
    this.#request.restore(unsent);
  }

  /** Ends the connection at once: nothing more is sent. Harmless when it has ended. */
  end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#interest.set(0);
    this.#input = undefined;
    this.#parts.budget.grant(this, 0);
    this.#request.withdraw();
    this.#programs.disconnect();
    this.#parts.ended(this.peer.clientId, reason);
  }

  #onEvents(events: number): void {
    if (this.#request.writing) {
      this.#request.sendRest();
      if (this.#closed || this.busy) return;
      this.#resume();
    } else if ((events & ~EPOLLOUT) !== 0) {
      this.#read();
    }
  }

  #read(): void {
    const input = this.#input;
    const { exchange } = this.#parts;
    const asked = input === undefined ? this.#readSize : this.busy ? READ_SIZE : wantedBytes(input);
    const received = exchange.receive(this.fd, asked, this.key);
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
    this.#readSize = nextReadSize(frameTotal(exchange.input, 0, received), received, asked);
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
   * Serves one message of those that wait in the input buffer, if it is whole; the others have their turns,
   * with everybody else's in between. @param recorded whether the buffer as it is now is durable
   */
  #resume(recorded = false): void {
    if (this.#closed) return;
    const input = this.#input;
    if (input !== undefined) {
      let used = 0;
      if (!this.busy) {
        this.#parts.exchange.serveStored(this.key);
        used = this.#serve(input.bytes, input.length, input.dropped, 1);
        if (this.#closed) return;
        if (used > 0) input.consume(used);
      }
      if (!recorded || used > 0) this.#inputChanged();
      if (this.busy && this.#answerPings()) this.#inputChanged();
      if (input.empty) this.#input = undefined;
      else if (!this.busy && used > 0 && beginsWhole(input)) this.#goOn();
    }
    this.#settleInput();
  }

  #goOn(): void {
    if (this.#goesOn || this.#closed) return;
    this.#goesOn = true;
    this.#parts.loop.defer(() => {
      this.#goesOn = false;
      this.#resume(true);
    });
  }

  /** After the input was looked at: end if there is nothing to come, else wait for the right events. */
  #settleInput(): void {
    if (this.#closed) return;
    // Requests that came before the end of input are served; half a message is not.
    if (this.#endOfInput && !this.busy && !this.#goesOn) return this.end("end of stream");
    this.update();
  }

  roomForInput(): void {
    if (!this.#closed) this.update();
  }

  proceed(): void {
    if (!this.#closed && !this.busy) this.#resume();
    else this.#settleInput();
  }

  update(): void {
    const room = this.#parts.budget.grant(this, this.#input?.length ?? 0) || this.busy;
    const { writing } = this.#request;
    const full = this.busy && this.#input !== undefined && this.#input.length >= READ_AHEAD;
    const reading = !this.#endOfInput && !writing && !full && !this.#goesOn;
    // Without room its end is waited for: the little that comes before that is read all the same.
    this.#interest.set((reading ? room ? EPOLLIN : EPOLLERR : 0) | (writing ? EPOLLOUT : 0));
  }

  #inputChanged(added?: InputBytes): void {
    this.#parts.durability.inputChanged(this, this.#parts.exchange.turn, added);
  }

  /**
   * Serves messages from the start of `bytes` until one is incomplete or in service.
   *
   * @param dropped bytes of the first message that were not kept
   * @param most so many messages
   * @returns how many bytes were used up
   */
  #serve(bytes: Uint8Array, length: number, dropped: number, most = Infinity): number {
    let at = 0;
    for (let count = 0; count < most && at < length && !this.#closed && !this.busy; count++) {
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
    const end = at + kept;
    if (isPing(header)) return this.#request.pong(end);
    const program = this.#programs.find(header);
    const isCall = header.type === MessageType.CALL ||
      header.type === MessageType.CALL_WITH_FDS && program !== undefined;
    if (!isCall) return;
    const reply = this.#request.begin(header, program, kept, end);
    const failure = this.#programs.call(program, { bytes, at, end }, reply);
    if (failure !== undefined) this.#request.crashed(reply, failure.error);
    this.#request.keep(bytes, at, kept);
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
      if (length === 0 || this.#request.writing) return answered;
      input.takePing(length);
      this.#request.pong(OUTSIDE_TURN);
      answered = true;
    }
    return answered && !this.#closed;
  }
}
