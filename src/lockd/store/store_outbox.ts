import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import { EPOLLIN, EPOLLOUT } from "../../os/constants.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { DescriptorQueue } from "./descriptor_queue.ts";
import type { Tripwires } from "./tripwires.ts";

/** What a message to the service manager is sent through; a NotifySocket is one. */
export interface StoreSocket {
  readonly fd: number;
  send(lines: readonly string[], descriptors?: readonly number[]): "sent" | "full" | number;
}

/** One message to the store. */
export type StoreMessage =
  | { kind: "store"; name: string; fds: readonly number[] }
  /** `queue`: what the name stands for; this process's ends are closed first. */
  /** `moved`: queues that have what counts of it now; if one of them could not be stored it stays. */
  | { kind: "remove"; name: string; queue?: DescriptorQueue; moved?: readonly string[] }
  | { kind: "tripwire"; name: string }
  | { kind: "text"; lines: readonly string[] }
  | { kind: "barrier"; done: (reason: string | undefined) => void };

/** Messages that belong together. */
export interface Batch {
  readonly messages: readonly StoreMessage[];
  /** Called when all are sent. */
  readonly done: (() => void) | undefined;
}

/** What an outbox works with. */
export interface OutboxParts {
  readonly socket: StoreSocket;
  readonly loop: EventLoop;
  readonly sys: Pick<EventSys, "pipe"> & Pick<FileSys, "close">;
  readonly log: Log;
  readonly tripwires: Tripwires;
  /** A descriptor was sent. @param reason why it could not be, if so */
  readonly sent: (name: string, reason: string | undefined) => void;
  /** Whether a queue could not be stored. */
  readonly isLost: (queue: string) => boolean;
}

/**
 * Messages to the service manager, in order. Its queue is short: what does not fit waits here.
 */
export class StoreOutbox {
  readonly #parts: OutboxParts;
  /** What is still to be stored, by name. What was cancelled is not here any more. */
  readonly #stores = new Map<string, StoreMessage>();
  #waiting: { readonly batch: Batch; next: number }[] = [];
  #watching = false;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  /** Batches that are not sent yet. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Names that are about to be stored. */
  get stores(): Iterable<string> {
    return this.#stores.keys();
  }

  /** Names that are about to be taken out of the store. */
  get removals(): string[] {
    return this.#waiting.flatMap(({ batch, next }) =>
      batch.messages.slice(next).flatMap((message) => message.kind === "remove" ? [message.name] : [])
    );
  }

  /** Sends a batch, now or as soon as there is room. @returns whether it is sent */
  submit(batch: Batch): boolean {
    const entry = { batch, next: 0 };
    for (const message of batch.messages) {
      if (message.kind === "store") this.#stores.set(message.name, message);
    }
    if (this.#waiting.length === 0 && this.#send(entry)) {
      batch.done?.();
      return true;
    }
    this.#waiting.push(entry);
    this.#watch();
    return false;
  }

  /** The descriptor of a name is not sent any more. @returns whether it was still to be sent */
  cancel(name: string): boolean {
    return this.#stores.delete(name);
  }

  /** Sends what is left of a batch; false when the manager is behind. */
  #send(entry: { readonly batch: Batch; next: number }): boolean {
    const { messages } = entry.batch;
    for (; entry.next < messages.length; entry.next++) {
      if (!this.#sendOne(messages[entry.next] as StoreMessage)) return false;
    }
    return true;
  }

  #sendOne(message: StoreMessage): boolean {
    const { socket, tripwires, sent } = this.#parts;
    switch (message.kind) {
      case "store": {
        if (this.#stores.get(message.name) !== message) return true;
        const result = socket.send(storing(message.name), message.fds);
        if (result === "full") return false;
        this.#stores.delete(message.name);
        sent(message.name, result === "sent" ? undefined : reasonOf(result));
        return true;
      }
      case "remove":
        return this.#remove(message);
      case "tripwire": {
        const result = tripwires.make(message.name, (end) => socket.send(storing(message.name), [end]));
        if (result === "full") return false;
        sent(message.name, result === "sent" ? undefined : reasonOf(result));
        return true;
      }
      case "text": {
        const result = socket.send(message.lines);
        if (typeof result === "number") {
          this.#parts.log.warn(`Could not tell the service manager: ${reasonOf(result)}`);
        }
        return result !== "full";
      }
      case "barrier":
        return this.#barrier(message.done);
    }
  }

  #remove({ name, queue, moved }: Extract<StoreMessage, { kind: "remove" }>): boolean {
    const { socket, tripwires, log, isLost } = this.#parts;
    // First this process's, so that it is never the last one that closes a file on dead storage.
    queue?.close();
    tripwires.drop(name);
    if (moved?.some(isLost) === true) {
      log.warn(`${name} stays in the store: what is in it could not be stored anew`);
      return true;
    }
    const result = socket.send(["FDSTOREREMOVE=1", `FDNAME=${name}`]);
    if (result === "full") return false;
    if (result !== "sent") log.error(`Could not take ${name} out of the store: ${reasonOf(result)}`);
    return true;
  }

  /** The manager closes the pipe's end when it has done everything before. */
  #barrier(done: (reason: string | undefined) => void): boolean {
    const { socket, loop, sys } = this.#parts;
    const pipe = sys.pipe();
    if (typeof pipe === "number") {
      done(`no pipe for a barrier: ${new SystemError("pipe2", "barrier", pipe).reason}`);
      return true;
    }
    const [readEnd, writeEnd] = pipe;
    const result = socket.send(["BARRIER=1"], [writeEnd]);
    sys.close(writeEnd);
    if (result !== "sent") {
      sys.close(readEnd);
      if (result === "full") return false;
      done(`the service manager cannot be reached: ${reasonOf(result)}`);
      return true;
    }
    loop.add(readEnd, EPOLLIN, () => {
      loop.remove(readEnd);
      sys.close(readEnd);
      done(undefined);
    });
    return true;
  }

  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#parts.loop.add(this.#parts.socket.fd, EPOLLOUT, () => this.#drain());
  }

  #drain(): void {
    for (let entry = this.#waiting[0]; entry !== undefined; entry = this.#waiting[0]) {
      if (!this.#send(entry)) return;
      this.#waiting.shift();
      entry.batch.done?.();
    }
    this.#parts.loop.remove(this.#parts.socket.fd);
    this.#watching = false;
  }
}

/** systemd would drop one at whose other end somebody hangs up (FDPOLL=1). */
function storing(name: string): string[] {
  return ["FDSTORE=1", `FDNAME=${name}`, "FDPOLL=0"];
}

function reasonOf(errno: number): string {
  return new SystemError("sendmsg", "NOTIFY_SOCKET", errno).reason;
}
