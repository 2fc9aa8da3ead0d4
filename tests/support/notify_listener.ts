import { SOCK_DGRAM } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { kernel } from "./kernel.ts";
import { until } from "./until.ts";

/**
 * Stands for the service manager's notify socket (sd_notify(3)), or for the journal's, whose entries of one
 * line a field look the same. Descriptors that come along are closed.
 */
export class NotifyListener implements Disposable {
  /** What NOTIFY_SOCKET has to be. */
  readonly address: string;
  /** Fields of all messages so far, in the order in which they came. */
  readonly fields: string[] = [];
  readonly #fd: number;
  readonly #bytes = new Uint8Array(65536);

  /** @param address path, or `@` and a name for an abstract one */
  constructor(address: string) {
    this.address = address;
    this.#fd = must(kernel.socket(SOCK_DGRAM, true), "socket", address);
    must(kernel.bind(this.#fd, address), "bind", address);
  }

  /** Waits for a field that matches, and takes it and all before it away. */
  async next(pattern: RegExp): Promise<string> {
    let index = -1;
    await until(`${pattern} in a message to the service manager`, () => {
      this.#receive();
      index = this.fields.findIndex((field) => pattern.test(field));
      return index >= 0;
    });
    return this.fields.splice(0, index + 1).at(-1) ?? "";
  }

  [Symbol.dispose](): void {
    kernel.close(this.#fd);
  }

  #receive(): void {
    for (;;) {
      const received = kernel.receiveMessage(this.#fd, this.#bytes, false);
      if (typeof received === "number") return;
      for (const fd of received.descriptors) kernel.close(fd);
      this.fields.push(...new TextDecoder().decode(this.#bytes.subarray(0, received.length)).split("\n"));
    }
  }
}
