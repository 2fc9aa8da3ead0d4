import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { DescriptorKeeper, KeptObject } from "../../chassis/journal/descriptor_keeper.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { AdoptedQueue } from "./descriptor_queue.ts";
import { EdgeTripwires } from "./edge_tripwires.ts";
import { parseQueueName } from "./queue_names.ts";
import { RefusedNames } from "./refused_names.ts";
import { type StoreMessage, StoreOutbox } from "./store_outbox.ts";
import type { StoreParts, StoreStatus } from "./store_parts.ts";
import { StoreAdmission } from "./store_admission.ts";
import { StoreContents } from "./store_contents.ts";
import { StoredQueues } from "./stored_queues.ts";
import { StoreRoom, TRIPWIRES } from "./store_room.ts";
import { type HeldTripwire, isTripwire, Tripwires } from "./tripwires.ts";

/** The manager closes what it does not take in the background, milliseconds after it has read the message. */
const REFUSAL_MS = 50;

/**
 * The service manager's descriptor store (sd_pid_notify_with_fds(3), FDSTORE=1).
 *
 * One name for each message, sent in order. The manager's queue is short: what does not fit waits here, and
 * whoever needs it stored is called back. What it has no room for is not sent ({@link StoreRoom}), and when
 * it drops what it has taken, that is noticed ({@link EdgeTripwires}).
 */
export class DescriptorStore implements DescriptorKeeper {
  readonly #loop: EventLoop;
  readonly #log: Log;
  readonly #dropped: () => void;
  readonly #outbox: StoreOutbox;
  readonly #tripwires: Tripwires;
  readonly #edges: EdgeTripwires;
  readonly #room: StoreRoom;
  readonly #refused: RefusedNames;
  readonly #queues: StoredQueues;
  readonly #admission: StoreAdmission;
  /** What it has, by name. */
  readonly contents: StoreContents;

  constructor(parts: StoreParts) {
    const { loop, log, limit, dropped } = parts;
    this.#loop = loop;
    this.#log = log;
    this.#dropped = dropped;
    this.#room = new StoreRoom(log, limit);
    this.#refused = new RefusedNames(log);
    this.#admission = new StoreAdmission(this.#room, this.#refused);
    this.#tripwires = new Tripwires(parts, (name) => {
      this.#room.forget(name);
      this.#trip();
    });
    this.#edges = new EdgeTripwires({
      loop,
      tripwires: this.#tripwires,
      mayPut: () => this.kept && this.#room.limit >= TRIPWIRES,
      put: (name) => {
        this.#room.keep(name);
        this.#submit([{ kind: "tripwire", name }]);
      },
      remove: (name) => this.remove(name),
      known: (name) => this.#room.keep(name),
    });
    this.#outbox = new StoreOutbox({
      ...parts,
      tripwires: this.#tripwires,
      sent: (name, reason) => this.#sent(name, reason),
      isLost: (queue) => this.#queues.isLost(queue),
    });
    this.#queues = new StoredQueues({
      ...parts,
      // The store does not outlive a boot, so its clock tells lives apart.
      life: Math.floor(parts.sys.monotonic()),
      hasRoom: (name, descriptors) => this.#admission.fullFor(name, descriptors) === undefined,
      keep: (name, fds) => {
        this.#admission.keep(name);
        return { kind: "store", name, fds };
      },
      forget: (name) => void this.#room.forget(name),
      submit: (messages) => {
        this.#submit(messages);
        if (messages.some(({ kind }) => kind === "store")) this.#edges.sealLater();
      },
    });
    this.contents = new StoreContents({
      room: this.#room,
      refused: this.#refused,
      outbox: this.#outbox,
      queues: this.#queues,
      tripwires: this.#tripwires,
    });
    for (const name of parts.stored) this.#room.keep(name);
  }

  get status(): StoreStatus {
    return {
      stored: this.#room.used,
      inQueues: this.#queues.size,
      limit: this.#room.limit,
      refused: this.#refused.size,
      queued: this.#outbox.length,
      kept: this.kept,
    };
  }

  /** Whether it is full, or so nearly that the log has said so. */
  get tight(): boolean {
    return this.#room.tight || this.#refused.size > 0;
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
    return this.#room.has(name) || this.#queues.has(name);
  }

  /** Whether the manager keeps what it was sent, as far as is known. */
  get kept(): boolean {
    return this.#admission.kept;
  }

  /** Goes on with queues of an earlier life: {@link StoredQueues.adopt}. */
  adopt(queues: readonly AdoptedQueue[]): void {
    for (const queue of queues) {
      this.#queues.adopt(queue);
      this.#room.keep(queue.name);
    }
  }

  /** What was in adopted queues and was not asked to be stored since is to go. */
  adopted(): void {
    this.#queues.adopted();
  }

  /** Goes on with tripwires of an earlier life: {@link EdgeTripwires.adopt}. */
  adoptTripwires(handed: readonly HeldTripwire[], returned: readonly HeldTripwire[]): void {
    this.#edges.adopt(handed, returned);
  }

  /** From now on it is noticed when the manager drops something. To be called before anything is stored. */
  guard(): void {
    this.#room.reserve(true);
    this.#edges.guard();
  }

  /** Everything that was wanted is stored: {@link EdgeTripwires.seal}. */
  seal(): void {
    this.#edges.seal();
  }

  /**
   * Finds out whether the manager takes anything, after {@link StoreParts.dropped}.
   * @param done told when that is known; to be followed by {@link resume} if so
   */
  probe(done: (taken: boolean) => void): void {
    const name = this.#edges.putOldest();
    this.settled(() => done(this.#tripwires.has(name)));
  }

  /** Tells when the manager has read everything and it is known whether it has taken it. */
  settled(done: () => void): void {
    this.#submit([{ kind: "barrier", done: () => void this.#loop.after(REFUSAL_MS, done) }]);
  }

  /** What is stored from now on is kept again. @param limit how many descriptors the manager takes */
  resume(limit: number): void {
    this.#admission.resume(limit);
  }

  /** The manager takes another number of descriptors than it was believed to. */
  relimit(limit: number): void {
    this.#room.relimit(limit);
  }

  /** The fewest descriptors that the manager was to keep since {@link noteLeast}. */
  get least(): number {
    return this.#room.least;
  }

  /** Notes from now on how few descriptors the manager is to keep. */
  noteLeast(): void {
    this.#room.noteLeast();
  }

  /** Nothing is kept from the beginning: {@link probe} finds out when something is. */
  suspend(): void {
    this.#admission.suspend();
  }

  /**
   * Asks for descriptors to be stored.
   *
   * @param done called when all are sent and everything that was asked for before is done too
   * @returns whether `done` was called before this returns
   */
  store(wanted: readonly KeptObject[], done: () => void): boolean {
    const queued = this.#queues.put(wanted);
    for (const name of queued.names) this.#refused.delete(name);
    const messages = [...queued.messages, ...wanted.flatMap((each) => this.#admit(each))];
    if (messages.length > 0) this.#edges.sealLater();
    return this.#submit(messages, done);
  }

  /**
   * The descriptor of a name is about to be closed: it is not sent any more.
   *
   * @returns whether it was still to be sent; then the store has never had it
   */
  cancel(name: string): boolean {
    if (!this.#outbox.cancel(name)) return false;
    this.#room.forget(name);
    return true;
  }

  /** Takes a name out of the store, whether it is stored, on its way or unknown. */
  remove(name: string): void {
    this.#refused.delete(name);
    if (this.#queues.drop(name)) return;
    if (this.cancel(name) || !this.#room.forget(name)) return;
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
    this.#room.reserve(false);
    this.#edges.rest();
    const messages = this.#clear();
    this.#refused.clear();
    this.#submit([...messages, { kind: "barrier", done }]);
  }

  /** Forgets everything. @returns what takes it out of the store, if it is there */
  #clear(): StoreMessage[] {
    const queues = this.#queues.clear();
    const names = new Set(queues.map(({ name }) => name));
    const waiting = new Set(this.#outbox.stores);
    const others = [...this.#room.names].filter((name) => !waiting.has(name) && !names.has(name));
    // A queue that is still to be stored is, so that what removes it is behind it.
    for (const name of waiting) if (!names.has(name)) this.#outbox.cancel(name);
    this.#room.clear();
    this.#edges.clear();
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
    if (!this.kept || !this.#edges.guarded) return;
    const names = [...this.#queues.names, ...this.#room.names].filter((name) =>
      parseQueueName(name) === undefined && !isTripwire(name)
    );
    // What it has not dropped would be in the way of what is stored anew.
    const messages = this.#clear();
    this.#refused.add(names);
    this.#admission.suspend();
    this.#submit(messages);
    this.#dropped();
  }

  /** Sends any other message, after everything that was asked for before. */
  tell(lines: readonly string[]): void {
    this.#submit([{ kind: "text", lines }]);
  }

  #admit({ name, fd }: KeptObject): StoreMessage[] {
    return this.has(name) || !this.#admission.admit(name) ? [] : [{ kind: "store", name, fds: [fd] }];
  }

  /** Of a queue, everything in it is not stored. */
  #couldNotStore(name: string, reason: string): void {
    const queued = parseQueueName(name) !== undefined;
    const names = queued ? this.#queues.lose(name) : [name];
    this.#room.forget(name);
    for (const each of names) this.#admission.refuse(each, reason);
  }

  /** A message was sent, or could not be. */
  #sent(name: string, reason: string | undefined): void {
    if (!isTripwire(name)) {
      if (reason !== undefined) this.#couldNotStore(name, reason);
      return;
    }
    if (reason === undefined) return;
    this.#room.forget(name);
    this.#log.warn(`It would not be noticed if systemd dropped what it keeps (${name}): ${reason}`);
  }

  #submit(messages: readonly StoreMessage[], done?: () => void): boolean {
    return this.#outbox.submit({ messages, done });
  }
}
