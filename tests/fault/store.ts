import { SOCK_DGRAM } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { kernel } from "../support/kernel.ts";

/**
 * A service manager that keeps descriptors (sd_pid_notify_with_fds(3)), in the process of the daemon itself.
 */
export class Store {
  readonly #fd: number;
  readonly #kept = new Map<string, number[]>();
  readonly #message = new Uint8Array(65536);

  /** Listens at a path: the daemon's NOTIFY_SOCKET. @throws SystemError */
  constructor(path: string) {
    this.#fd = must(kernel.socket(SOCK_DGRAM, true), "socket", path);
    must(kernel.bind(this.#fd, path), "bind", path);
  }

  /** Names of what is kept. */
  get names(): readonly string[] {
    return [...this.#kept.keys()];
  }

  /** Takes the messages that have come. @returns whether there were any */
  take(): boolean {
    let taken = false;
    for (;;) {
      const received = kernel.receiveMessage(this.#fd, this.#message, false);
      if (typeof received === "number") return taken;
      taken = true;
      const text = new TextDecoder().decode(this.#message.subarray(0, received.length));
      const fields = new Map(
        text.split("\n").map((line) => {
          const at = line.indexOf("=");
          return [line.slice(0, at), line.slice(at + 1)];
        }),
      );
      const name = fields.get("FDNAME") ?? "stored";
      if (fields.has("FDSTOREREMOVE")) this.#drop(name);
      if (fields.has("FDSTORE")) {
        this.#kept.set(name, [...this.#kept.get(name) ?? [], ...received.descriptors]);
      } else received.descriptors.forEach((fd) => kernel.close(fd));
    }
  }

  /** Forgets everything: the service was stopped. */
  clear(): void {
    this.take();
    for (const name of this.names) this.#drop(name);
  }

  #drop(name: string): void {
    for (const fd of this.#kept.get(name) ?? []) kernel.close(fd);
    this.#kept.delete(name);
  }
}
