import { SOCK_DGRAM } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { NOT_NOW } from "../../os/not_now.ts";
import type { SocketSys } from "../../os/sys.ts";
import { encodeText } from "../../os/text.ts";

/**
 * The service manager's notify socket (sd_notify(3)).
 *
 * Connected once; a message is one datagram. The queue of the manager is short: `send` says when it is full,
 * and the descriptor becomes writable when there is room.
 */
export class NotifySocket {
  readonly #sys: SocketSys;
  /** Owned by the notify socket. */
  readonly fd: number;

  private constructor(sys: SocketSys, fd: number) {
    this.#sys = sys;
    this.fd = fd;
  }

  /**
   * Connects to `$NOTIFY_SOCKET`.
   *
   * @returns undefined without the variable, or the reason why it cannot be reached
   */
  static connect(
    sys: SocketSys,
    ledger: DescriptorLedger,
    address: string | undefined,
  ): NotifySocket | undefined | { errno: number } {
    if (address === undefined || address === "") return undefined;
    const fd = sys.socket(SOCK_DGRAM, true);
    if (fd < 0) return { errno: -fd };
    ledger.own(fd, "notify");
    const connected = sys.connect(fd, address);
    if (connected === 0) return new NotifySocket(sys, fd);
    ledger.close(fd);
    return { errno: -connected };
  }

  /**
   * Sends one message.
   *
   * @param lines `NAME=value` lines
   * @param descriptors copies of these go along (SCM_RIGHTS); they stay the caller's
   * @returns "sent", "full" when the manager is behind or the kernel has no memory for it, or a positive
   *   errno
   */
  send(lines: readonly string[], descriptors: readonly number[] = []): "sent" | "full" | number {
    const result = this.#sys.sendMessage(this.fd, encodeText(lines.join("\n")), descriptors);
    if (result >= 0) return "sent";
    return NOT_NOW.includes(result) ? "full" : -result;
  }
}
