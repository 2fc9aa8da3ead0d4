import { SOCK_DGRAM } from "../../os/constants.ts";
import { EAGAIN, EMSGSIZE, ENOBUFS, ENOMEM } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";

/** Errors that say nothing against the connection: the peer is slow, the message too large, memory short. */
const TRANSIENT: ReadonlySet<number> = new Set([-EAGAIN, -EMSGSIZE, -ENOBUFS, -ENOMEM]);

/**
 * A connection to a datagram service on this host. It is made when it is first needed, and made again when
 * the service was restarted. Nothing here waits.
 */
export class DatagramSocket {
  readonly #sys: Sys;
  readonly #path: string;
  #fd = -1;

  constructor(sys: Sys, path: string) {
    this.#sys = sys;
    this.#path = path;
  }

  /**
   * Sends one message, with descriptors if given.
   *
   * @returns 0, or -errno: -EAGAIN when the service does not keep up, that of connect(2) when it is not there
   */
  send(bytes: Uint8Array, descriptors: readonly number[] = []): number {
    if (this.#fd >= 0) {
      const result = this.#transmit(bytes, descriptors);
      if (result >= 0 || TRANSIENT.has(result)) return result;
      this.close();
    }
    const connected = this.#connect();
    return connected < 0 ? connected : this.#transmit(bytes, descriptors);
  }

  close(): void {
    if (this.#fd >= 0) this.#sys.close(this.#fd);
    this.#fd = -1;
  }

  #transmit(bytes: Uint8Array, descriptors: readonly number[]): number {
    const result = descriptors.length === 0
      ? this.#sys.send(this.#fd, bytes)
      : this.#sys.sendMessage(this.#fd, bytes, descriptors);
    return Math.min(result, 0);
  }

  #connect(): number {
    const fd = this.#sys.socket(SOCK_DGRAM, true);
    if (fd < 0) return fd;
    const result = this.#sys.connect(fd, this.#path);
    if (result < 0) {
      this.#sys.close(fd);
      return result;
    }
    this.#fd = fd;
    return 0;
  }
}
