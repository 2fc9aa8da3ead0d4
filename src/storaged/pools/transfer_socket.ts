import type { EventLoop } from "../../chassis/event/event_loop.ts";
import {
  EPOLLIN,
  EPOLLOUT,
  F_SETFL,
  O_NONBLOCK,
  O_RDWR,
  SO_SNDBUFFORCE,
  SOCK_STREAM,
} from "../../os/constants.ts";
import { EPIPE } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";

/** Bytes that may be on their way: each end then works on some packets while the other one does. */
const SOCKET_BUFFER = 1 << 20;

/** What a transfer needs of the daemon. */
export interface TransferParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
}

/** The daemon's end of the stream socket to a helper that reads or writes a volume. */
export class TransferSocket {
  /** Called once when this end is closed. */
  closed = () => {};
  readonly #parts: TransferParts;
  readonly #fd: number;
  #watched = false;
  #open = true;

  /** @param fd non-blocking; owned from now on */
  constructor(parts: TransferParts, fd: number) {
    this.#parts = parts;
    this.#fd = parts.ledger.own(fd, "transfer");
  }

  /**
   * Makes one and the helper's end of it.
   *
   * @returns the helper's descriptor is the caller's
   * @throws SystemError
   */
  static pair(parts: TransferParts): { socket: TransferSocket; far: number } {
    const pair = parts.sys.socketPair(SOCK_STREAM);
    if (typeof pair === "number") throw new SystemError("socketpair", "stream of a volume", pair);
    const [near, far] = pair;
    // In a session the kernel refuses it, and it goes on with less.
    for (const fd of pair) parts.sys.setSocketOption(fd, SO_SNDBUFFORCE, SOCKET_BUFFER);
    // The helper waits for the daemon, which waits for nobody.
    for (const [fd, flags] of [[near, O_NONBLOCK | O_RDWR], [far, O_RDWR]] as const) {
      const set = parts.sys.fcntl(fd, F_SETFL, flags);
      if (set >= 0) continue;
      for (const each of pair) parts.sys.close(each);
      throw new SystemError("fcntl", "stream of a volume", set);
    }
    return { socket: new TransferSocket(parts, near), far };
  }

  /** @returns how many bytes, 0 at the end, or -errno */
  read(into: Uint8Array): number {
    return this.#open ? this.#parts.sys.read(this.#fd, into) : 0;
  }

  /** @returns how many bytes were taken, or -errno */
  write(bytes: Uint8Array): number {
    return this.#open ? this.#parts.sys.send(this.#fd, bytes) : -EPIPE;
  }

  /** Calls once when there is something to read, or room to write. */
  when(direction: "readable" | "writable", go: () => void): void {
    if (!this.#open) return;
    const { loop } = this.#parts;
    if (this.#watched) loop.remove(this.#fd);
    this.#watched = true;
    loop.add(this.#fd, direction === "readable" ? EPOLLIN : EPOLLOUT, () => {
      loop.remove(this.#fd);
      this.#watched = false;
      go();
    });
  }

  /** Harmless when it is closed. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#watched) this.#parts.loop.remove(this.#fd);
    this.#parts.ledger.close(this.#fd);
    this.closed();
  }
}
