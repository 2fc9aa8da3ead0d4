import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { RecurringMap } from "../../base/recurring_map.ts";
import type { Log } from "../../chassis/log/log.ts";
import { EPOLLIN, EPOLLOUT } from "../../os/constants.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { SystemError } from "../../os/system_error.ts";
import { type AdoptedQueue, type DescriptorQueue, QUEUE_SIZE, type QueueParts } from "./descriptor_queue.ts";
import { DescriptorQueues } from "./descriptor_queues.ts";
import { parseQueueName, queueName } from "./queue_names.ts";

/** What a message to the service manager is sent through; a NotifySocket is one. */
export interface StoreSocket {
  readonly fd: number;
  send(lines: readonly string[], descriptors?: readonly number[]): "sent" | "full" | number;
}

/** One message to the store. */
type StoreMessage =
  | { kind: "store"; name: string; fds: readonly number[]; cancelled: boolean }
  /** `queue`: what the name stands for; this process's ends are closed first. */
  /** `moved`: queues that have what counts of it now; if one of them could not be stored it stays. */
  | { kind: "remove"; name: string; queue?: DescriptorQueue; moved?: readonly string[] }
  | { kind: "text"; lines: readonly string[] }
  | { kind: "barrier"; done: (reason: string | undefined) => void };

/** Something to be kept. It stays the caller's and open until it is sent or removed. */
export interface WantedDescriptor {
  readonly name: string;
  readonly fd: number;
  /**
   * Whether it may lie in a queue with others (see {@link DescriptorQueue}). Not a Unix socket: while any is
   * on its way in another, each close of a Unix socket on the whole host makes an older kernel look for
   * circles.
   */
  readonly queued?: boolean;
}

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
/** For the question whether there is room for one more. */
const LONGEST_QUEUE_NAME = queueName({ life: 999_999_999_999_999, number: 999_999 });
/** From this share of the limit on, the log warns. */
const WARN_AT = 0.9;
/**
 * So many ms after a queued descriptor was dropped, its queue is given up and the others move on. Long enough
 * to do it once for many, short enough that a file system can be unmounted as soon as a person asks.
 */
const TIDY_MS = 5;

type StoreSys = Pick<EventSys, "pipe" | "monotonic"> & Pick<FileSys, "close"> & QueueParts["sys"];

/** How full the store is. */
export interface StoreStatus {
  /** Descriptors that the manager keeps, a queue counts as two. */
  readonly stored: number;
  /** Descriptors in the queues. */
  readonly inQueues: number;
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
  readonly #sys: StoreSys;
  readonly #log: Log;
  readonly #limit: number;
  /** Names; the same few come and go with the locks. */
  readonly #stored = new RecurringMap<string, true>();
  readonly #refused = new Set<string>();
  /** Queues that could not be stored. */
  readonly #lost = new Set<string>();
  readonly #waiting = new Map<string, Extract<StoreMessage, { kind: "store" }>>();
  readonly #queues: DescriptorQueues;
  #queue: Batch[] = [];
  #nameBytes = 0;
  #warned = false;
  #watching = false;
  #tidying = false;

  /** @param stored names that an earlier life has stored */
  constructor(parts: {
    socket: StoreSocket;
    loop: EventLoop;
    sys: StoreSys;
    ledger: DescriptorLedger;
    log: Log;
    limit: number;
    stored: Iterable<string>;
  }) {
    this.#socket = parts.socket;
    this.#loop = parts.loop;
    this.#sys = parts.sys;
    this.#log = parts.log;
    this.#limit = parts.limit;
    // The store does not outlive a boot, so its clock tells lives apart.
    this.#queues = new DescriptorQueues(parts, Math.floor(parts.sys.monotonic()));
    for (const name of parts.stored) this.#keep(name);
  }

  get status(): StoreStatus {
    return {
      stored: this.#used,
      inQueues: this.#queues.size,
      limit: this.#limit,
      refused: this.#refused.size,
      queued: this.#queue.length,
    };
  }

  /** Whether it is full, or so nearly that the log has said so. */
  get tight(): boolean {
    return this.#warned || this.#refused.size > 0;
  }

  /** Whether everything that was asked for is done. */
  get idle(): boolean {
    return this.#queue.length === 0;
  }

  /** Whether something that should be stored is not. */
  get refused(): boolean {
    return this.#refused.size > 0;
  }

  /** Whether a name is stored, or on its way. */
  has(name: string): boolean {
    return this.#stored.has(name) || this.#queues.has(name);
  }

  /** Names under which single descriptors are stored, or on their way. */
  get names(): Iterable<string> {
    return this.#stored.keys();
  }

  /** The queues, for the next image of this process. */
  get queues(): readonly AdoptedQueue[] {
    return this.#queues.handover;
  }

  /**
   * Goes on with queues of an earlier life: what is in them need not be stored again. To be called before
   * anything is stored, and {@link adopted} when everything is.
   */
  adopt(queues: readonly AdoptedQueue[]): void {
    for (const queue of queues) {
      this.#queues.adopt(queue);
      this.#keep(queue.name);
    }
  }

  /** What was in adopted queues and was not asked to be stored since is to go. */
  adopted(): void {
    if (this.#queues.forgetUnknown()) this.#tidyLater();
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
   * @param done called when all are sent and everything that was asked for before is done too
   * @returns whether `done` was called before this returns
   */
  store(wanted: readonly WantedDescriptor[], done: () => void): boolean {
    const messages = [...this.#enqueue(wanted), ...wanted.flatMap((each) => this.#admit(each))];
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
    if (this.#queues.drop(name)) return this.#tidyLater();
    if (this.cancel(name) || !this.#forget(name)) return;
    this.#submit({ messages: [{ kind: "remove", name }], next: 0, done: undefined });
  }

  /**
   * Takes everything out of the store. @param done called when the manager has closed its copies, or with why
   * it has not
   */
  leave(done: (reason: string | undefined) => void): void {
    const queues = this.#queues.clear();
    const names = new Set(queues.map(({ name }) => name));
    const others = [...this.#stored.keys()].filter((name) => !this.#waiting.has(name) && !names.has(name));
    const messages: StoreMessage[] = [
      ...others.map((name) => ({ kind: "remove", name }) as const),
      ...queues.map((queue) => ({ kind: "remove", name: queue.name, queue }) as const),
    ];
    for (const waiting of this.#waiting.values()) waiting.cancelled = !names.has(waiting.name);
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

  /** How many descriptors the manager has, or is about to get: a queue is two. */
  get #used(): number {
    return this.#stored.size + this.#queues.count;
  }

  /** Puts into queues what may lie there, as many as one message to a queue takes at once. */
  #enqueue(wanted: readonly WantedDescriptor[]): StoreMessage[] {
    const queued = wanted.filter(({ name, fd, queued }) =>
      queued === true && !this.has(name) && !this.#queues.know(name, fd)
    );
    const messages: StoreMessage[] = [];
    for (let at = 0; at < queued.length; at += QUEUE_SIZE) {
      const entries = new Map(queued.slice(at, at + QUEUE_SIZE).map(({ name, fd }) => [name, fd]));
      const put = this.#queues.put(entries, this.#roomForQueue);
      // By themselves then, as far as there is room.
      if (put.kind === "failed") continue;
      for (const name of entries.keys()) this.#refused.delete(name);
      if (put.opened !== undefined) messages.push(this.#keepQueue(put.opened));
    }
    return messages;
  }

  #admit({ name, fd }: WantedDescriptor): StoreMessage[] {
    if (this.has(name)) return [];
    const reason = this.#fullFor(name, 1);
    if (reason !== undefined) {
      this.#refuse(name, reason);
      return [];
    }
    this.#refused.delete(name);
    return [this.#keepNew(name, [fd])];
  }

  readonly #roomForQueue = (): boolean => this.#fullFor(LONGEST_QUEUE_NAME, 2) === undefined;

  /** Why there is no room for so many descriptors under a name; undefined when there is. */
  #fullFor(name: string, descriptors: number): string | undefined {
    if (this.#used + descriptors > this.#limit) return `the store is full: it takes ${this.#limit}`;
    if (this.#nameBytes + descriptors * (name.length + 1) > NAMES_LIMIT) {
      return `the store is full: with ${this.#used} names no daemon could be started any more`;
    }
    return undefined;
  }

  #keepQueue({ name, ends }: DescriptorQueue): StoreMessage {
    return this.#keepNew(name, ends);
  }

  #keepNew(name: string, fds: readonly number[]): StoreMessage {
    this.#keep(name);
    this.#warn();
    const message = { kind: "store", name, fds, cancelled: false } as const satisfies StoreMessage;
    this.#waiting.set(name, message);
    return message;
  }

  #tidyLater(): void {
    if (this.#tidying) return;
    this.#tidying = true;
    this.#loop.after(TIDY_MS, () => {
      this.#tidying = false;
      const { opened, emptied, more } = this.#queues.tidy(this.#roomForQueue);
      // Sent in order: what moved is stored anew before it goes where it was.
      const messages = [
        ...opened.map((queue) => this.#keepQueue(queue)),
        ...emptied.map((queue) => this.#removal(queue, opened.map(({ name }) => name))),
      ];
      if (messages.length > 0) this.#submit({ messages, next: 0, done: undefined });
      if (more) this.#tidyLater();
    });
  }

  #removal(queue: DescriptorQueue, moved: readonly string[]): StoreMessage {
    this.#forget(queue.name);
    return { kind: "remove", name: queue.name, queue, moved };
  }

  #warn(): void {
    const high = this.#used >= this.#limit * WARN_AT || this.#nameBytes >= NAMES_LIMIT * WARN_AT;
    if (high && !this.#warned) {
      this.#log.warn(
        `The service manager keeps ${this.#used} descriptors and takes ${this.#limit}: raise FileDescriptorStoreMax= of the service, or further locks would not survive a crash`,
      );
    }
    this.#warned = high;
  }

  #keep(name: string): void {
    if (!this.#stored.has(name)) this.#nameBytes += nameBytes(name);
    this.#stored.set(name, true);
  }

  #forget(name: string): boolean {
    if (!this.#stored.delete(name)) return false;
    this.#nameBytes -= nameBytes(name);
    return true;
  }

  #refuse(name: string, reason: string): void {
    this.#forget(name);
    const first = this.#refused.size === 0;
    this.#refused.add(name);
    const message =
      `A lock or connection is not kept by the service manager (${name}), a crash would lose it: ${reason}`;
    if (first) this.#log.error(message);
    else this.#log.info(message);
  }

  /** Of a queue, everything in it is not stored. */
  #couldNotStore(name: string, reason: string): void {
    const queued = parseQueueName(name) !== undefined;
    if (queued) this.#lost.add(name);
    const names = queued ? this.#queues.lose(name) : [name];
    this.#forget(name);
    for (const each of names) this.#refuse(each, reason);
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
        const result = this.#socket.send(["FDSTORE=1", `FDNAME=${message.name}`, "FDPOLL=0"], message.fds);
        if (result === "full") return false;
        this.#waiting.delete(message.name);
        if (result !== "sent") this.#couldNotStore(message.name, reasonOf(result));
        return true;
      }
      case "remove": {
        // First this process's, so that it is never the last one that closes a file on dead storage.
        message.queue?.close();
        if (message.moved?.some((queue) => this.#lost.has(queue)) === true) {
          this.#log.warn(`${message.name} stays in the store: what is in it could not be stored anew`);
          return true;
        }
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

/** What a name takes of {@link NAMES_LIMIT}: the manager hands it over once for each descriptor. */
function nameBytes(name: string): number {
  return (name.length + 1) * (parseQueueName(name) === undefined ? 1 : 2);
}

function reasonOf(errno: number): string {
  return new SystemError("sendmsg", "NOTIFY_SOCKET", errno).reason;
}
