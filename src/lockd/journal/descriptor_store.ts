import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { RecurringMap } from "../../base/recurring_map.ts";
import type { Log } from "../../chassis/log/log.ts";
import { EPOLLIN, EPOLLOUT } from "../../os/constants.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";

/** What a message to the service manager is sent through; a NotifySocket is one. */
export interface StoreSocket {
  readonly fd: number;
  send(lines: readonly string[], descriptors?: readonly number[]): "sent" | "full" | number;
}

/** One message to the store. */
type StoreMessage =
  | { kind: "store"; name: string; fd: number; cancelled: boolean }
  | { kind: "remove"; name: string }
  | { kind: "text"; lines: readonly string[] }
  | { kind: "barrier"; done: (reason: string | undefined) => void };

interface Batch {
  readonly messages: readonly StoreMessage[];
  next: number;
  readonly done: (() => void) | undefined;
}

/**
 * Bytes of all names with a colon each: the manager hands them over in one environment variable
 * (LISTEN_FDNAMES), and with one of 128 KiB or more the kernel would not start the daemon at all.
 */
const NAMES_LIMIT = 130_000;
/** From this share of the limit on, the log warns. */
const WARN_AT = 0.9;

/** How full the store is. */
export interface StoreStatus {
  readonly stored: number;
  readonly limit: number;
  /** Descriptors that the store could not take. */
  readonly refused: number;
  /** Messages that the service manager has not taken yet. */
  readonly queued: number;
}

/**
 * The service manager's descriptor store (sd_pid_notify_with_fds(3), FDSTORE=1).
 *
 * One name for each message, sent in order. The manager's queue is short: what does not fit waits here, and
 * whoever needs it stored is called back. What is over the store's limit the manager would drop without a
 * word, so it is counted here.
 */
export class DescriptorStore {
  readonly #socket: StoreSocket;
  readonly #loop: EventLoop;
  readonly #sys: Pick<EventSys, "pipe"> & Pick<FileSys, "close">;
  readonly #log: Log;
  readonly #limit: number;
  /** Names; the same few come and go with the locks. */
  readonly #stored = new RecurringMap<string, true>();
  readonly #refused = new Set<string>();
  readonly #waiting = new Map<string, Extract<StoreMessage, { kind: "store" }>>();
  #queue: Batch[] = [];
  #nameBytes = 0;
  #warned = false;
  #watching = false;

  /** @param stored names that an earlier life has stored */
  constructor(parts: {
    socket: StoreSocket;
    loop: EventLoop;
    sys: Pick<EventSys, "pipe"> & Pick<FileSys, "close">;
    log: Log;
    limit: number;
    stored: Iterable<string>;
  }) {
    this.#socket = parts.socket;
    this.#loop = parts.loop;
    this.#sys = parts.sys;
    this.#log = parts.log;
    this.#limit = parts.limit;
    for (const name of parts.stored) this.#keep(name);
  }

  get status(): StoreStatus {
    return {
      stored: this.#stored.size,
      limit: this.#limit,
      refused: this.#refused.size,
      queued: this.#queue.length,
    };
  }

  /** Whether everything that was asked for is done. */
  get idle(): boolean {
    return this.#queue.length === 0;
  }

  /** Whether a name is stored, or on its way. */
  has(name: string): boolean {
    return this.#stored.has(name);
  }

  /** Names that are not stored although they should be: refused, or still waiting. */
  get missing(): string[] {
    return [...this.#refused, ...this.#waiting.keys()];
  }

  /** Names that are still stored although they should not be. */
  get leftOver(): string[] {
    return this.#queue.flatMap(({ messages, next }) =>
      messages.slice(next).flatMap((message) => message.kind === "remove" ? [message.name] : [])
    );
  }

  /**
   * Asks for descriptors to be stored.
   *
   * @param wanted each stays the caller's and open until it is sent or {@link remove}d
   * @param done called when all are sent and everything that was asked for before is done too
   * @returns whether `done` was called before this returns
   */
  store(wanted: readonly { name: string; fd: number }[], done: () => void): boolean {
    const messages = wanted.flatMap(({ name, fd }) => this.#admit(name, fd));
    return this.#submit({ messages, next: 0, done });
  }

  /**
   * The descriptor of a name is about to be closed: it is not sent any more.
   *
   * @returns whether it was still to be sent; then the store has never had it
   */
  cancel(name: string): boolean {
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) return false;
    waiting.cancelled = true;
    this.#waiting.delete(name);
    this.#forget(name);
    return true;
  }

  /** Takes a name out of the store, whether it is stored, on its way or unknown. */
  remove(name: string): void {
    this.#refused.delete(name);
    if (this.cancel(name) || !this.#forget(name)) return;
    this.#submit({ messages: [{ kind: "remove", name }], next: 0, done: undefined });
  }

  /**
   * Takes everything out of the store. @param done called when the manager has closed its copies, or with why
   * it has not
   */
  leave(done: (reason: string | undefined) => void): void {
    const messages: StoreMessage[] = [...this.#stored.keys()].filter((name) => !this.#waiting.has(name))
      .map((name) => ({ kind: "remove", name }));
    for (const waiting of this.#waiting.values()) waiting.cancelled = true;
    this.#waiting.clear();
    this.#stored.clear();
    this.#refused.clear();
    this.#nameBytes = 0;
    this.#submit({ messages: [...messages, { kind: "barrier", done }], next: 0, done: undefined });
  }

  /** Sends any other message, after everything that was asked for before. */
  tell(lines: readonly string[]): void {
    this.#submit({ messages: [{ kind: "text", lines }], next: 0, done: undefined });
  }

  #admit(name: string, fd: number): StoreMessage[] {
    if (this.#stored.has(name)) return [];
    if (this.#stored.size >= this.#limit) {
      this.#refuse(name, `the store is full: it takes ${this.#limit}`);
      return [];
    }
    if (this.#nameBytes + name.length + 1 > NAMES_LIMIT) {
      this.#refuse(
        name,
        `the store is full: with ${this.#stored.size} names no daemon could be started any more`,
      );
      return [];
    }
    this.#refused.delete(name);
    this.#keep(name);
    this.#warn();
    const message: StoreMessage = { kind: "store", name, fd, cancelled: false };
    this.#waiting.set(name, message);
    return [message];
  }

  #warn(): void {
    const high = this.#stored.size >= this.#limit * WARN_AT || this.#nameBytes >= NAMES_LIMIT * WARN_AT;
    if (high && !this.#warned) {
      this.#log.warn(
        `The service manager keeps ${this.#stored.size} descriptors and takes ${this.#limit}: raise FileDescriptorStoreMax=`,
      );
    }
    this.#warned = high;
  }

  #keep(name: string): void {
    if (!this.#stored.has(name)) this.#nameBytes += name.length + 1;
    this.#stored.set(name, true);
  }

  #forget(name: string): boolean {
    if (!this.#stored.delete(name)) return false;
    this.#nameBytes -= name.length + 1;
    return true;
  }

  #refuse(name: string, reason: string): void {
    this.#forget(name);
    const first = this.#refused.size === 0;
    this.#refused.add(name);
    const message = `Could not store descriptor ${name}, which a crash would lose: ${reason}`;
    if (first) this.#log.error(message);
    else this.#log.info(message);
  }

  #submit(batch: Batch): boolean {
    if (this.#queue.length === 0 && this.#send(batch)) {
      batch.done?.();
      return true;
    }
    this.#queue.push(batch);
    this.#watch();
    return false;
  }

  /** Sends what is left of a batch; false when the manager is behind. */
  #send(batch: Batch): boolean {
    for (; batch.next < batch.messages.length; batch.next++) {
      if (!this.#sendOne(batch.messages[batch.next] as StoreMessage)) return false;
    }
    return true;
  }

  #sendOne(message: StoreMessage): boolean {
    switch (message.kind) {
      case "store": {
        if (message.cancelled) return true;
        const result = this.#socket.send(["FDSTORE=1", `FDNAME=${message.name}`, "FDPOLL=0"], [message.fd]);
        if (result === "full") return false;
        this.#waiting.delete(message.name);
        if (result !== "sent") this.#refuse(message.name, reasonOf(result));
        return true;
      }
      case "remove": {
        const result = this.#socket.send(["FDSTOREREMOVE=1", `FDNAME=${message.name}`]);
        if (result === "full") return false;
        if (result !== "sent") {
          this.#log.error(`Could not take ${message.name} out of the store: ${reasonOf(result)}`);
        }
        return true;
      }
      case "text": {
        const result = this.#socket.send(message.lines);
        if (typeof result === "number") {
          this.#log.warn(`Could not tell the service manager: ${reasonOf(result)}`);
        }
        return result !== "full";
      }
      case "barrier":
        return this.#barrier(message.done);
    }
  }

  /** The manager closes the pipe's end when it has done everything before. */
  #barrier(done: (reason: string | undefined) => void): boolean {
    const pipe = this.#sys.pipe();
    if (typeof pipe === "number") {
      done(`no pipe for a barrier: ${new SystemError("pipe2", "barrier", pipe).reason}`);
      return true;
    }
    const [readEnd, writeEnd] = pipe;
    const result = this.#socket.send(["BARRIER=1"], [writeEnd]);
    this.#sys.close(writeEnd);
    if (result !== "sent") {
      this.#sys.close(readEnd);
      if (result === "full") return false;
      done(`the service manager cannot be reached: ${reasonOf(result)}`);
      return true;
    }
    this.#loop.add(readEnd, EPOLLIN, () => {
      this.#loop.remove(readEnd);
      this.#sys.close(readEnd);
      done(undefined);
    });
    return true;
  }

  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#loop.add(this.#socket.fd, EPOLLOUT, () => this.#drain());
  }

  #drain(): void {
    while (this.#queue.length > 0) {
      const batch = this.#queue[0] as Batch;
      if (!this.#send(batch)) return;
      this.#queue.shift();
      batch.done?.();
    }
    this.#loop.remove(this.#socket.fd);
    this.#watching = false;
  }
}

function reasonOf(errno: number): string {
  return new SystemError("sendmsg", "NOTIFY_SOCKET", errno).reason;
}
