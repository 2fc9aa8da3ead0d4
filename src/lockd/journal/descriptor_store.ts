import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { RecurringMap } from "../../base/recurring_map.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { type AdoptedQueue, type DescriptorQueue, QUEUE_SIZE, type QueueParts } from "./descriptor_queue.ts";
import { DescriptorQueues } from "./descriptor_queues.ts";
import { parseQueueName, queueName } from "./queue_names.ts";
import { type StoreMessage, StoreOutbox, type StoreSocket } from "./store_outbox.ts";
import { type HeldTripwire, isTripwire, tripwireName, Tripwires } from "./tripwires.ts";

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

/** The tripwire that was stored before everything else; the newest one is another. */
const OLDEST = 0;
/** Most tripwires stored at once: the oldest, and two while the newest takes the place of another. */
const TRIPWIRES = 3;
/** So many ms after something was stored, the newest tripwire takes its place behind it. */
const RENEW_MS = 2000;
/** The manager closes what it does not take in the background, milliseconds after it has read the message. */
const REFUSAL_MS = 50;

type StoreSys = Pick<EventSys, "pipe" | "monotonic"> & Pick<FileSys, "open" | "close"> & QueueParts["sys"];

/** What a store is made of. */
export interface StoreParts {
  readonly socket: StoreSocket;
  readonly loop: EventLoop;
  readonly sys: StoreSys;
  readonly ledger: DescriptorLedger;
  readonly log: Log;
  readonly limit: number;
  /** Names that an earlier life has stored. */
  readonly stored: Iterable<string>;
  /** Called when the manager has dropped something: everything counts as not stored then. */
  readonly dropped: () => void;
}

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
  /** Whether it keeps what it was sent, as far as it takes that. */
  readonly kept: boolean;
}

/**
 * The service manager's descriptor store (sd_pid_notify_with_fds(3), FDSTORE=1).
 *
 * One name for each message, sent in order. The manager's queue is short: what does not fit waits here, and
 * whoever needs it stored is called back. What is over the store's limit the manager would drop without a
 * word, so it is counted here.
 *
 * When the manager drops what it has taken, that is noticed: by a tripwire that was stored first and one that
 * was stored last. One whose limit was lowered drops from either end of its list.
 */
export class DescriptorStore {
  readonly #loop: EventLoop;
  readonly #log: Log;
  readonly #dropped: () => void;
  readonly #outbox: StoreOutbox;
  readonly #tripwires: Tripwires;
  #limit: number;
  /** Names; the same few come and go with the locks. */
  readonly #stored = new RecurringMap<string, true>();
  readonly #refused = new Set<string>();
  /** Queues that could not be stored. */
  readonly #lost = new Set<string>();
  readonly #waiting = new Map<string, Extract<StoreMessage, { kind: "store" }>>();
  readonly #queues: DescriptorQueues;
  #nameBytes = 0;
  #warned = false;
  #tidying = false;
  /** False from the moment when it was noticed that the manager has dropped something. */
  #kept = true;
  /** Whether tripwires are to be stored. */
  #guarded = false;
  /** Number of the newest tripwire; undefined when there is none but the oldest. */
  #newest: number | undefined;
  #renewing = false;

  constructor(parts: StoreParts) {
    const { loop, log, limit, dropped } = parts;
    this.#loop = loop;
    this.#log = log;
    this.#limit = limit;
    this.#dropped = dropped;
    this.#tripwires = new Tripwires(parts, (name) => {
      this.#forget(name);
      this.#trip();
    });
    this.#outbox = new StoreOutbox({
      ...parts,
      tripwires: this.#tripwires,
      sent: (name, reason) => this.#sent(name, reason),
      isLost: (queue) => this.#lost.has(queue),
    });
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
      queued: this.#outbox.length,
      kept: this.#kept,
    };
  }

  /** Whether it is full, or so nearly that the log has said so. */
  get tight(): boolean {
    return this.#warned || this.#refused.size > 0;
  }

  /** Whether everything that was asked for is done. */
  get idle(): boolean {
    return this.#outbox.length === 0;
  }

  /** Whether something that should be stored is not. */
  get refused(): boolean {
    return this.#refused.size > 0;
  }

  /** Whether a name is stored, or on its way. */
  has(name: string): boolean {
    return this.#stored.has(name) || this.#queues.has(name);
  }

  /** Whether the manager keeps what it was sent, as far as is known. */
  get kept(): boolean {
    return this.#kept;
  }

  /** Names under which single descriptors are stored, or on their way. */
  get names(): Iterable<string> {
    return this.#stored.keys();
  }

  /** Tripwires that the next image of this process may go on with. */
  get tripwires(): readonly HeldTripwire[] {
    return this.#tripwires.held;
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
    return this.#outbox.removals;
  }

  /**
   * Goes on with tripwires of an earlier life. To be called before {@link guard}.
   *
   * @param handed read ends that an earlier image has handed over; taken
   * @param returned ends that the manager has handed over; closed
   */
  adoptTripwires(handed: readonly HeldTripwire[], returned: readonly HeldTripwire[]): void {
    for (const tripwire of handed) this.#tripwires.adopt(tripwire);
    for (const { name, fd } of returned) this.#tripwires.reopen(name, fd);
    for (const { name } of [...handed, ...returned]) this.#keep(name);
    this.#newest = [1, 2].find((number) => this.#tripwires.has(tripwireName(number)));
  }

  /** From now on it is noticed when the manager drops something. To be called before anything is stored. */
  guard(): void {
    this.#guarded = true;
    const name = tripwireName(OLDEST);
    if (this.#kept && !this.#tripwires.has(name) && this.#limit >= TRIPWIRES) this.#putTripwire(name);
  }

  /** Everything that was wanted is stored: the newest tripwire takes its place behind it. */
  seal(): void {
    if (!this.#guarded || !this.#kept || this.#limit < TRIPWIRES) return;
    const before = this.#newest;
    this.#newest = before === 1 ? 2 : 1;
    this.#putTripwire(tripwireName(this.#newest));
    if (before !== undefined) this.remove(tripwireName(before));
  }

  /**
   * Finds out whether the manager takes anything, after {@link StoreParts.dropped}.
   *
   * @param done told when that is known; to be followed by {@link resume} if so
   */
  probe(done: (taken: boolean) => void): void {
    const name = tripwireName(OLDEST);
    this.remove(name);
    this.#putTripwire(name);
    this.settled(() => done(this.#tripwires.has(name)));
  }

  /** Tells when the manager has read everything and it is known whether it has taken it. */
  settled(done: () => void): void {
    this.#submit([{ kind: "barrier", done: () => void this.#loop.after(REFUSAL_MS, done) }]);
  }

  /** What is stored from now on is kept again. @param limit how many descriptors the manager takes */
  resume(limit: number): void {
    this.#kept = true;
    // Whatever is wanted is stored anew; what that has no room for is refused again.
    this.#refused.clear();
    this.#limit = limit;
    this.#warned = false;
  }

  /** Nothing is kept from the beginning: {@link probe} finds out when something is. */
  suspend(): void {
    this.#kept = false;
  }

  /**
   * Asks for descriptors to be stored.
   *
   * @param done called when all are sent and everything that was asked for before is done too
   * @returns whether `done` was called before this returns
   */
  store(wanted: readonly WantedDescriptor[], done: () => void): boolean {
    const messages = [...this.#enqueue(wanted), ...wanted.flatMap((each) => this.#admit(each))];
    if (messages.length > 0) this.#renewLater();
    return this.#submit(messages, done);
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
    this.#submit([{ kind: "remove", name }]);
  }

  /** Takes a name out of the store, also one that an earlier life may have stored. */
  purge(name: string): void {
    this.remove(name);
    this.#submit([{ kind: "remove", name }]);
  }

  /**
   * Takes everything out of the store. @param done called when the manager has closed its copies, or with why
   * it has not
   */
  leave(done: (reason: string | undefined) => void): void {
    this.#guarded = false;
    const messages = this.#clear();
    this.#refused.clear();
    this.#submit([...messages, { kind: "barrier", done }]);
  }

  /** Forgets everything. @returns what takes it out of the store, if it is there */
  #clear(): StoreMessage[] {
    const queues = this.#queues.clear();
    const names = new Set(queues.map(({ name }) => name));
    const others = [...this.#stored.keys()].filter((name) => !this.#waiting.has(name) && !names.has(name));
    for (const waiting of this.#waiting.values()) waiting.cancelled = !names.has(waiting.name);
    this.#waiting.clear();
    this.#stored.clear();
    this.#newest = undefined;
    this.#nameBytes = 0;
    return [
      ...others.map((name) => ({ kind: "remove", name }) as const),
      ...queues.map((queue) => ({ kind: "remove", name: queue.name, queue }) as const),
    ];
  }

  /** The manager has less than it was sent: as if a tripwire had told. */
  distrust(): void {
    this.#trip();
  }

  /** The manager has dropped a tripwire, and perhaps everything. */
  #trip(): void {
    if (!this.#kept || !this.#guarded) return;
    const names = [...this.#queues.names, ...this.#stored.keys()].filter((name) =>
      parseQueueName(name) === undefined && !isTripwire(name)
    );
    // What it has not dropped would be in the way of what is stored anew.
    const messages = this.#clear();
    for (const name of names) this.#refused.add(name);
    this.#kept = false;
    this.#submit(messages);
    this.#dropped();
  }

  /** Sends any other message, after everything that was asked for before. */
  tell(lines: readonly string[]): void {
    this.#submit([{ kind: "text", lines }]);
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
    if (!this.#kept) return "systemd does not take it";
    if (this.#used + descriptors > this.#room) return `the store is full: it takes ${this.#limit}`;
    if (this.#nameBytes + descriptors * (name.length + 1) > NAMES_LIMIT) {
      return `the store is full: with ${this.#used} names no daemon could be started any more`;
    }
    return undefined;
  }

  /** How many descriptors there may be: for tripwires there is always room. */
  get #room(): number {
    if (!this.#guarded) return this.#limit;
    const stored = [0, 1, 2].filter((number) => this.#stored.has(tripwireName(number))).length;
    return this.#limit - TRIPWIRES + stored;
  }

  #putTripwire(name: string): void {
    this.#keep(name);
    this.#submit([{ kind: "tripwire", name }]);
  }

  #renewLater(): void {
    if (!this.#guarded || !this.#kept || this.#renewing) return;
    this.#renewing = true;
    this.#loop.after(RENEW_MS, () => {
      this.#renewing = false;
      this.seal();
    });
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
      if (messages.length > 0) this.#submit(messages);
      if (opened.length > 0) this.#renewLater();
      if (more) this.#tidyLater();
    });
  }

  #removal(queue: DescriptorQueue, moved: readonly string[]): StoreMessage {
    this.#forget(queue.name);
    return { kind: "remove", name: queue.name, queue, moved };
  }

  #warn(): void {
    const high = this.#used >= this.#room * WARN_AT || this.#nameBytes >= NAMES_LIMIT * WARN_AT;
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
    // What is known to keep nothing has been reported as such.
    if (first && this.#kept) this.#log.error(message);
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

  /** A message was sent, or could not be. */
  #sent(name: string, reason: string | undefined): void {
    if (!isTripwire(name)) {
      this.#waiting.delete(name);
      if (reason !== undefined) this.#couldNotStore(name, reason);
      return;
    }
    if (reason === undefined) return;
    this.#forget(name);
    this.#log.warn(`It would not be noticed if systemd dropped what it keeps (${name}): ${reason}`);
  }

  #submit(messages: readonly StoreMessage[], done?: () => void): boolean {
    return this.#outbox.submit({ messages, done });
  }
}

/** What a name takes of {@link NAMES_LIMIT}: the manager hands it over once for each descriptor. */
function nameBytes(name: string): number {
  return (name.length + 1) * (parseQueueName(name) === undefined ? 1 : 2);
}
