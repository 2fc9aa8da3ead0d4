import { NOT_NOW } from "../../os/not_now.ts";
import type { SocketSys } from "../../os/sys.ts";

/** How sending went. */
export type Sent =
  /** Nothing waits any more. */
  | { readonly kind: "all" }
  /** The client has to read first. */
  | { readonly kind: "waits" }
  /** The connection is of no use any more. */
  | { readonly kind: "failed"; readonly errno: number };

const ALL: Sent = { kind: "all" };
const WAITS: Sent = { kind: "waits" };

/** Bytes on their way to one client, in order. */
export class OutputQueue {
  readonly #sys: Pick<SocketSys, "send">;
  readonly #fd: number;
  #waiting: Uint8Array[] = [];
  #length = 0;

  /** @param fd the client's socket; stays the caller's */
  constructor(sys: Pick<SocketSys, "send">, fd: number) {
    this.#sys = sys;
    this.#fd = fd;
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#length;
  }

  /**
   * Sends bytes behind those that wait; what the kernel does not take waits.
   *
   * @param lasting whether the bytes stay as they are; else what has to wait is copied
   */
  push(bytes: Uint8Array, lasting: boolean): Sent {
    if (this.#length > 0) {
      this.#add(lasting ? bytes : bytes.slice());
      return WAITS;
    }
    const sent = this.#sys.send(this.#fd, bytes);
    if (sent === bytes.length) return ALL;
    if (sent < 0 && !NOT_NOW.includes(sent)) return { kind: "failed", errno: -sent };
    const rest = bytes.subarray(Math.max(0, sent));
    this.#add(lasting ? rest : rest.slice());
    return WAITS;
  }

  /** Sends as much of what waits as the kernel takes. */
  flush(): Sent {
    let done = 0;
    try {
      for (const bytes of this.#waiting) {
        const sent = this.#sys.send(this.#fd, bytes);
        if (sent < 0) return NOT_NOW.includes(sent) ? WAITS : { kind: "failed", errno: -sent };
        this.#length -= sent;
        if (sent < bytes.length) {
          this.#waiting[done] = bytes.subarray(sent);
          return WAITS;
        }
        done++;
      }
      return ALL;
    } finally {
      this.#waiting.splice(0, done);
    }
  }

  #add(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#length += bytes.length;
  }
}
