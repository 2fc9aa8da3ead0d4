import { ShapeError } from "../../base/shape.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { EPOLLIN, SOCK_SEQPACKET } from "../../os/constants.ts";
import { EAGAIN, ECONNRESET } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { FileSys, SocketSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeFromHelper } from "./helper_decoding.ts";
import { encodeMessage, type FromHelper, MESSAGE_LIMIT, type ToHelper } from "./helper_protocol.ts";

/** What a link needs of the daemon. */
export interface LinkParts {
  readonly sys: SocketSys & Pick<FileSys, "close">;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
}

/** Who is at the daemon's end of a link. */
export interface LinkUser {
  /** @param descriptors the user's to close; not yet in the ledger */
  received(message: FromHelper, descriptors: readonly number[]): void;
  /** The helper has gone, once; the link is closed. Not called by {@link HelperLink.close}. */
  ended(reason: string): void;
}

/** The daemon's end of the socket pair with a helper process. */
export class HelperLink {
  readonly #parts: LinkParts;
  readonly #user: LinkUser;
  /** Owned by the link until it is closed. */
  readonly fd: number;
  readonly #buffer = new Uint8Array(MESSAGE_LIMIT);
  #open = true;
  #reason = "its helper process has ended";

  /**
   * @param fd one end of a pair, owned from now on
   * @throws SystemError when it cannot be watched; it stays the caller's then
   */
  constructor(parts: LinkParts, fd: number, user: LinkUser) {
    this.#parts = parts;
    this.#user = user;
    parts.loop.add(fd, EPOLLIN, () => this.#readable());
    this.fd = parts.ledger.own(fd, "storage");
  }

  /**
   * Makes a link and the other end for a helper.
   *
   * @returns the link and the helper's descriptor, which the caller owns
   * @throws SystemError when there are no descriptors, or no memory to watch them
   */
  static pair(parts: LinkParts, user: LinkUser): { link: HelperLink; far: number } {
    const pair = parts.sys.socketPair(SOCK_SEQPACKET);
    if (typeof pair === "number") throw new SystemError("socketpair", "storage helper", pair);
    const [near, far] = pair;
    try {
      return { link: new HelperLink(parts, near, user), far };
    } catch (error) {
      parts.sys.close(near);
      parts.sys.close(far);
      throw error;
    }
  }

  /**
   * Makes a link and has a helper started at its other end.
   *
   * @param start starts it; the descriptor that it gets is closed when it returns
   * @throws SystemError as {@link pair}, and whatever `start` throws; nothing is left then
   */
  static started(parts: LinkParts, user: LinkUser, start: (far: number) => void): HelperLink {
    const { link, far } = HelperLink.pair(parts, user);
    try {
      start(far);
      return link;
    } catch (error) {
      link.close();
      throw error;
    } finally {
      parts.sys.close(far);
    }
  }

  /**
   * Sends a message; copies of the descriptors go along. A helper that cannot be reached has ended: its user
   * learns that from the event loop.
   *
   * @returns whether the message will reach the helper if that goes on
   */
  send(message: ToHelper, descriptors: readonly number[] = []): boolean {
    if (!this.#open) return false;
    const result = this.#parts.sys.sendMessage(this.fd, encodeMessage(message), descriptors);
    if (result >= 0) return true;
    const error = new SystemError("Send to", "storage helper", result);
    this.#parts.loop.defer(() => this.#end(error.message));
    return false;
  }

  /** Closes the daemon's end: the helper ends when it sees that. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#parts.loop.remove(this.fd);
    this.#parts.ledger.close(this.fd);
  }

  #readable(): void {
    while (this.#open) {
      const received = this.#parts.sys.receiveMessage(this.fd, this.#buffer, false);
      if (received === -EAGAIN) return;
      // The helper ended with a message unread; what it sent before is still to come.
      if (received === -ECONNRESET) continue;
      if (typeof received === "number") {
        return this.#end(new SystemError("Receive from", "storage helper", received).message);
      }
      if (received.length === 0) return this.#end(this.#reason);
      const message = this.#decoded(this.#buffer.subarray(0, received.length));
      if (typeof message === "string") {
        // Of a lock that came along the helper has a copy, and gives it up when this end is closed.
        for (const fd of received.descriptors) this.#parts.sys.close(fd);
        return this.#end(message);
      }
      if (message.kind === "failed") this.#reason = message.reason;
      this.#user.received(message, received.descriptors);
    }
  }

  /** A message, or why it is none. */
  #decoded(bytes: Uint8Array): FromHelper | string {
    try {
      return decodeFromHelper(bytes);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      return `its helper process sent what is no message: ${error.message}`;
    }
  }

  #end(reason: string): void {
    if (!this.#open) return;
    this.close();
    this.#user.ended(reason);
  }
}
