import { SOCK_SEQPACKET } from "../../src/os/constants.ts";
import { must, SystemError } from "../../src/os/system_error.ts";
import { kernel } from "./kernel.ts";

/**
 * An open file that no process has: its descriptor is under way in a socket. That is how the kernel keeps the
 * file of a write which goes on after its process is gone, and it ends when the test says so.
 */
export class Unowned implements Disposable {
  readonly #sockets: readonly [number, number];

  private constructor(sockets: readonly [number, number]) {
    this.#sockets = sockets;
  }

  /** @param fd becomes nobody's; closed here when this is disposed of */
  static take(fd: number): Unowned {
    const sockets = kernel.socketPair(SOCK_SEQPACKET);
    if (typeof sockets === "number") throw new SystemError("socketpair", "unowned file", sockets);
    must(kernel.sendMessage(sockets[0], new Uint8Array(1), [fd]), "sendmsg", "unowned file");
    kernel.close(fd);
    return new Unowned(sockets);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#sockets) kernel.close(fd);
  }
}
