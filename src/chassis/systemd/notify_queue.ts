import type { EventLoop } from "../event/event_loop.ts";
import { EPOLLOUT } from "../../os/constants.ts";
import type { NotifySocket } from "./notify.ts";

/**
 * Messages to the service manager, in order and none lost: its own queue is short, and what does not fit
 * waits here. A READY=1 that got lost would leave the unit starting until its time limit, and then kill the
 * daemon.
 */
export class NotifyQueue {
  readonly #socket: Pick<NotifySocket, "fd" | "send">;
  readonly #loop: Pick<EventLoop, "add" | "remove">;
  readonly #failed: (errno: number) => void;
  #waiting: (readonly string[])[] = [];

  /**
   * @param socket stays its owner's; nobody else may watch it while messages wait
   * @param failed told when the manager cannot be reached at all, with a positive errno; that message is
   *   dropped
   */
  constructor(
    socket: Pick<NotifySocket, "fd" | "send">,
    loop: Pick<EventLoop, "add" | "remove">,
    failed: (errno: number) => void,
  ) {
    this.#socket = socket;
    this.#loop = loop;
    this.#failed = failed;
  }

  /** Sends `NAME=value` lines as one message, now or as soon as there is room. */
  tell(lines: readonly string[]): void {
    if (this.#waiting.length === 0 && this.#send(lines)) return;
    this.#waiting.push(lines);
    if (this.#waiting.length === 1) this.#loop.add(this.#socket.fd, EPOLLOUT, () => this.#drain());
  }

  #drain(): void {
    while (this.#waiting[0] !== undefined) {
      if (!this.#send(this.#waiting[0])) return;
      this.#waiting.shift();
    }
    this.#loop.remove(this.#socket.fd);
  }

  /** @returns false when the manager is behind */
  #send(lines: readonly string[]): boolean {
    const result = this.#socket.send(lines);
    if (typeof result === "number") this.#failed(result);
    return result !== "full";
  }
}
