import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { EPOLLERR, EPOLLIN, EPOLLOUT } from "../../os/constants.ts";
import { strerror } from "../../os/errno.ts";
import { NOT_NOW } from "../../os/not_now.ts";
import type { SocketSys } from "../../os/sys.ts";
import { OutputQueue, type Sent } from "./output_queue.ts";
import type { ReceiveBuffer } from "./receive_buffer.ts";

/** What all clients' sockets share. */
export interface ClientSocketParts {
  readonly sys: SocketSys;
  readonly loop: Pick<EventLoop, "add" | "modify" | "remove">;
  readonly buffer: ReceiveBuffer;
}

/** A client's socket: what waits to be sent, and what the event loop is to tell of it. */
export class ClientSocket {
  readonly #parts: ClientSocketParts;
  readonly #fd: number;
  readonly #onEvents: (events: number) => void;
  readonly #output: OutputQueue;
  #interest = 0;

  /** @param fd connected socket, non-blocking; stays the server's */
  constructor(parts: ClientSocketParts, fd: number, onEvents: (events: number) => void) {
    this.#parts = parts;
    this.#fd = fd;
    this.#onEvents = onEvents;
    this.#output = new OutputQueue(parts.sys, fd);
  }

  /** Bytes that wait for the client to read. */
  get unsent(): number {
    return this.#output.length;
  }

  /** Whether it is told of what the client sends. */
  get reading(): boolean {
    return (this.#interest & EPOLLIN) !== 0;
  }

  /** {@link OutputQueue.push} */
  send(bytes: Uint8Array, lasting: boolean): Sent {
    return this.#output.push(bytes, lasting);
  }

  /** {@link OutputQueue.flush} */
  flush(): Sent {
    return this.#output.flush();
  }

  /**
   * Receives what is there.
   *
   * @param most bytes; as many as the buffer takes where it is not given
   * @returns a view of the shared buffer, valid until anybody receives again; undefined when nothing is there
   *   now; the reason, when nothing comes any more
   */
  receive(most = this.#parts.buffer.bytes.length): Uint8Array | string | undefined {
    const { sys, buffer } = this.#parts;
    const received = sys.receiveInto(this.#fd, buffer.pointer, most);
    if (received > 0) return buffer.bytes.subarray(0, received);
    if (received === 0) return "end of stream";
    return NOT_NOW.includes(received) ? undefined : `receive failed: ${strerror(-received)}`;
  }

  /** What is to be told of from now on. While it is not read from, its end is. */
  watch(reading: boolean, writing: boolean): void {
    const wanted = (reading ? EPOLLIN : EPOLLERR) | (writing ? EPOLLOUT : 0);
    if (wanted === this.#interest) return;
    const { loop } = this.#parts;
    if (this.#interest === 0) loop.add(this.#fd, wanted, this.#onEvents);
    else loop.modify(this.#fd, wanted);
    this.#interest = wanted;
  }

  /** Nothing is told of it any more. */
  leave(): void {
    if (this.#interest !== 0) this.#parts.loop.remove(this.#fd);
    this.#interest = 0;
  }
}
