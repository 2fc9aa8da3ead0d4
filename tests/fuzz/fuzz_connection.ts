import { SOCK_STREAM } from "../../src/os/constants.ts";
import { EAGAIN, ECONNRESET, EINTR, EPIPE } from "../../src/os/errno.ts";
import { must } from "../../src/os/system_error.ts";
import { kernel } from "../support/kernel.ts";
import { Answers } from "./answers.ts";
import { PATIENCE_MS } from "../support/until.ts";
import { type Judge, type Offered, Shadow } from "./shadow.ts";

const chunk = new Uint8Array(1 << 16);

/** A client that sends what it likes and checks every answer. */
export class FuzzConnection {
  readonly #fd: number;
  readonly #shadow: Shadow;
  readonly #answers = new Answers();
  #ended = false;

  /** @throws SystemError */
  constructor(path: string, offered: Offered, judge: Judge) {
    this.#shadow = new Shadow(offered, judge);
    this.#fd = must(kernel.socket(SOCK_STREAM, false), "socket", path);
    must(kernel.connect(this.#fd, path), "connect", path);
  }

  /**
   * Whether nothing more can be said on it: the daemon has to close it, or waits for a message that is too
   * long to finish.
   */
  get spent(): boolean {
    return this.#shadow.closed || this.#shadow.missing > 1 << 18;
  }

  /** Requests that succeeded. */
  get succeeded(): number {
    return this.#answers.succeeded;
  }

  /**
   * Whether bytes may be sent next; then what is due for them is expected from now on, and they must be sent.
   */
  accepts(bytes: Uint8Array): boolean {
    const owed = this.#shadow.push(bytes);
    if (owed !== undefined) this.#answers.owe(owed);
    return owed !== undefined;
  }

  /**
   * Sends bytes that were accepted, and reads answers as long as the daemon does not take them.
   *
   * @throws Error when an answer is wrong or missing
   */
  send(bytes: Uint8Array): void {
    const deadline = performance.now() + PATIENCE_MS;
    for (let at = 0; at < bytes.length && !this.#ended;) {
      const sent = kernel.send(this.#fd, bytes.subarray(at));
      if (sent >= 0) {
        at += sent;
      } else if (sent === -EAGAIN) {
        if (kernel.pollReadable(this.#fd, 10) > 0) this.#read();
        if (performance.now() > deadline) {
          throw new Error(`Send: the daemon takes nothing for ${PATIENCE_MS} ms`);
        }
      } else if (sent === -EPIPE || sent === -ECONNRESET) {
        this.#end();
      } else {
        must(sent, "send", "client");
      }
    }
  }

  /** Takes all answers that are due. @throws Error when one is wrong or missing */
  drain(): void {
    while (!this.#ended && (this.#answers.due > 0 || this.#shadow.closed)) {
      const ready = kernel.pollReadable(this.#fd, PATIENCE_MS);
      if (ready === 0) throw new Error(`Wait for ${this.#answers.text}: nothing for ${PATIENCE_MS} ms`);
      if (must(ready === -EINTR ? 0 : ready, "poll", "client") > 0) this.#read();
    }
  }

  /** Leaves, whatever is under way. */
  close(): void {
    kernel.close(this.#fd);
  }

  #read(): void {
    const count = kernel.read(this.#fd, chunk);
    if (count > 0) this.#answers.receive(chunk.subarray(0, count));
    else if (count === 0 || count === -ECONNRESET) this.#end();
    else must(count, "read", "client");
  }

  #end(): void {
    this.#ended = true;
    // The answers to what came before the malformed length may be lost with the connection.
    if (!this.#shadow.closed) {
      throw new Error(`The daemon closed the connection; due are ${this.#answers.text}`);
    }
  }
}
