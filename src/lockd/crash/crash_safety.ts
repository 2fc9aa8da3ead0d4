import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import { NotifyQueue } from "../../chassis/systemd/notify_queue.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { JOURNAL_NAME, parseSlot, slotName } from "../journal/descriptor_names.ts";
import { DescriptorStore, type StoreSocket } from "../journal/descriptor_store.ts";
import { DurableLog } from "../../chassis/journal/durable_log.ts";
import { LockRecorder } from "../journal/lock_recorder.ts";
import { stampOfNow, writeStamp } from "../../chassis/journal/journal_stamp.ts";
import type { AdoptedQueue } from "../journal/descriptor_queue.ts";
import { parseQueueName } from "../journal/queue_names.ts";
import { type ReadQueues, readQueues } from "../journal/read_queues.ts";
import type { ReturnedDescriptor } from "../journal/recovered.ts";
import type { OwnerWatch } from "../lockspace/owner_watch.ts";
import { type Carried, NOTHING_CARRIED, recoveredState } from "../restart/recovered_state.ts";
import type { JsonValue, KeptDescriptor, RestartState } from "../restart/state.ts";
import type { Sections } from "../status/status_document.ts";
import type { Past } from "../daemon/beginning.ts";
import type { Daemon } from "../daemon/daemon.ts";
import type { Ending } from "../daemon/ending.ts";
import { readHandover, writeHandover } from "./journal_handover.ts";
import {
  journalSnapshot,
  LISTENER_NAMES,
  listenersToStore,
  namedToStore,
  objectsToStore,
} from "./journal_snapshot.ts";
import { JOURNAL_PURPOSE, type OpenedJournal, openJournal } from "./open_journal.ts";

/** What the crash safety of a starting daemon depends on. */
export interface CrashSafetyParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Directory of the journal where no service manager keeps it. */
  readonly journalDir: string;
  readonly cwd: string;
  /** The service manager, if there is one. */
  readonly notify: StoreSocket | undefined;
  /** What the service manager handed over. */
  readonly returned: readonly ReturnedDescriptor[];
  /** State of an earlier image of this very process. */
  readonly handed: RestartState | undefined;
  /** Client limits of the configuration by ordinal of the server. */
  readonly limits: Carried["limits"];
}

/**
 * Opens the journal, recovers what an earlier life has left, and keeps both up to date. docs/crash-safety.md.
 *
 * Without memory or a place for the journal the daemon still serves, and says that a crash would lose its
 * locks.
 */
export class CrashSafety {
  readonly #parts: CrashSafetyParts;
  /** Whether the service manager keeps descriptors. */
  readonly #keeper: boolean;
  readonly #store: DescriptorStore | undefined;
  /** What the service manager handed over. */
  readonly #read: ReadQueues;
  /** Messages to a service manager that keeps no descriptors. */
  readonly #queue: NotifyQueue | undefined;
  readonly #opened: OpenedJournal | undefined;
  /** Undefined when it could not be opened. */
  readonly recorder: LockRecorder | undefined;
  /**
   * What an earlier life has left; undefined when it left nothing, or an earlier image handed its state over
   * itself.
   */
  readonly recovered: RestartState | undefined;
  /** How the daemon that left {@link recovered} has ended. */
  readonly past: Past = { kind: "none" };
  #watch: OwnerWatch | undefined;
  #trouble = "";
  #carried: () => Carried = () => NOTHING_CARRIED;

  constructor(parts: CrashSafetyParts) {
    this.#parts = parts;
    this.#read = readQueues(parts.sys, parts.returned);
    for (const trouble of this.#read.damage) {
      parts.log.error(`Locks that systemd keeps cannot be read, it keeps them on: ${trouble}`);
    }
    this.#keeper = parts.notify !== undefined && storeLimit(parts.env) > 0;
    this.#opened = this.#open();
    this.#store = this.#openStore();
    const { notify, loop, log: logger } = parts;
    this.#queue = this.#store !== undefined || notify === undefined ? undefined : new NotifyQueue(
      notify,
      loop,
      (errno) =>
        logger.warn(
          `Could not tell the service manager: ${new SystemError("send to", "NOTIFY_SOCKET", errno).message}`,
        ),
    );
    if (this.#opened === undefined) return;
    const { memory, log, recovered, carried, slots } = this.#opened;
    this.recorder = new LockRecorder({
      log: new DurableLog({ memory, log, store: this.#store, loop: parts.loop, logger: parts.log }),
      slots,
      markOf: (owner) => this.#watch?.markOf(owner) ?? { pid: owner.pid, start: 0 },
    });
    if (recovered === undefined) return;
    for (const { level, message } of recovered.findings) parts.log[level](message);
    const { cwd, limits } = parts;
    this.recovered = recoveredState(recovered, carried, { pid: parts.sys.pid(), cwd, limits });
    // An ordinary end leaves no limits.
    this.past = { kind: carried.limits.length === 0 ? "restart" : "crash" };
  }

  /**
   * Tells the service manager, behind the descriptors that it is about to get; undefined where there is none.
   */
  get manager(): Pick<NotifyQueue, "tell"> | undefined {
    return this.#store ?? this.#queue;
  }

  /**
   * Begins to record. To be called when the state is restored and before anybody is served.
   *
   * @param carried what the next life gets beside locks and clients
   */
  begin(daemon: Daemon, carried: () => Carried): void {
    const { recorder } = this;
    if (recorder === undefined) {
      return this.#parts.log.error(`No journal, a crash would lose the locks: ${this.#trouble}`);
    }
    const { sys } = this.#parts;
    const { memory, log } = this.#opened ?? {};
    this.#carried = carried;
    this.#watch = daemon.watch;
    const snapshot = () => journalSnapshot(daemon, recorder, carried());
    for (const name of this.#unwantedNames()) this.#store?.remove(name);
    log?.claim();
    const { exchange } = daemon;
    recorder.begin({ exchange, snapshot }, objectsToStore(daemon), namedToStore(daemon, recorder));
    // From now on, and not before, it is newer than what a file says: it has all that is known of that.
    if (memory !== undefined) writeStamp(memory, stampOfNow(sys));
    this.#store?.adopted();
    this.#replaceStoredJournal(recorder.log.fd);
    this.#discardLeftFile();
    for (const owner of this.#opened?.recovered?.gone ?? []) daemon.reaper.free(owner);
    daemon.crashSections = () => ({ journal: this.#journalSection(), store: this.#storeSection() });
  }

  /**
   * The store has an earlier journal under the same name. Whoever is killed in between leaves none there, and
   * the file says everything by now.
   */
  #replaceStoredJournal(fd: number): void {
    if (this.#opened?.replaces !== true) return;
    this.#store?.remove(JOURNAL_NAME);
    this.#store?.store([{ name: JOURNAL_NAME, fd }], () => {});
  }

  /** What an earlier daemon left in a file counts no more as soon as everything is in the store. */
  #discardLeftFile(): void {
    const left = this.#opened?.left;
    if (left === undefined) return;
    if (this.#store === undefined) left.discard();
    else this.#store.store([], () => left.discard());
  }

  /** A server listens on another socket than before: the next life gets that one. */
  listening(daemon: Daemon): void {
    const store = this.#store;
    if (store === undefined) return;
    const listeners = listenersToStore(daemon);
    for (const name of new Set(listeners.map(({ name }) => name))) store.remove(name);
    store.store(listeners, () => {});
  }

  /** Whether locks, clients and listening sockets outlive an orderly end of this process. */
  get outlives(): boolean {
    return this.#store !== undefined;
  }

  /** Whether nothing at all would be lost if this process were killed now. */
  get sound(): boolean {
    return this.#store !== undefined && !this.#store.refused && this.recorder !== undefined &&
      this.recorder.log.status.failed === undefined;
  }

  /** What must stay open over a re-exec. */
  get kept(): KeptDescriptor[] {
    return this.recorder === undefined ? [] : [{ purpose: JOURNAL_PURPOSE, fd: this.recorder.log.fd }];
  }

  /** What the next image needs to go on. */
  get handover(): JsonValue {
    this.recorder?.log.forgetRemoved();
    return writeHandover({
      store: this.#store === undefined ? "none" : "queues",
      tight: this.#store?.tight ?? false,
      apart: [...this.#store?.names ?? []].filter((name) => parseSlot(name)?.kind === "lock"),
      queues: this.#store?.queues ?? [],
      missing: this.#store?.missing ?? [],
      leftOver: this.#store?.leftOver ?? [],
    });
  }

  /**
   * Nobody may keep a copy of a lock any more. @param done called when that is so, or with why it is not
   * certain
   */
  leave(done: (reason: string | undefined) => void): void {
    if (this.recorder === undefined) done(undefined);
    else this.recorder.log.leave(done);
  }

  /** The daemon that was to take over did not. */
  stay(daemon: Daemon): void {
    this.recorder?.stay(objectsToStore(daemon), namedToStore(daemon, this.recorder));
  }

  /**
   * The daemon ends in an orderly way. In a store everything stays for the next one, unless it is about to be
   * dropped; without, the file stays while locks are held.
   */
  finish(daemon: Daemon, ending: Ending): void {
    const { file } = this.#opened ?? {};
    const { statistics } = this.#carried();
    this.#carried = () => ({ ...NOTHING_CARRIED, statistics });
    const over = this.outlives ? ending === "given-up" : daemon.table.resourceCount === 0;
    if (file !== undefined && over) file.remove();
    else this.recorder?.log.finish({ op: "carried", state: { limits: [], settings: {}, statistics } });
  }

  #openStore(): DescriptorStore | undefined {
    const { notify, env, loop, sys, ledger, log } = this.#parts;
    if (notify === undefined || !this.#keeper) return undefined;
    const store = new DescriptorStore({
      socket: notify,
      loop,
      sys,
      ledger,
      log,
      limit: storeLimit(env),
      stored: this.#storedNames(),
    });
    store.adopt(this.#earlierQueues());
    return store;
  }

  /** Queues of an earlier life that the store has. */
  #earlierQueues(): readonly AdoptedQueue[] {
    const { handed } = this.#parts;
    if (handed === undefined) return this.#read.queues;
    const { queues, missing } = readHandover(handed.extension?.journal);
    // The message with such a one was still to be sent; with its process's ends the queue is gone.
    return queues.filter(({ name }) => !missing.includes(name));
  }

  /** What the store has already, except queues. */
  #storedNames(): string[] {
    const { handed, returned } = this.#parts;
    if (handed === undefined) {
      return returned.map(({ name }) => name).filter((name) => parseQueueName(name) === undefined);
    }
    const { store, missing, leftOver, apart } = readHandover(handed.extension?.journal);
    if (store === "none") return [];
    // Locks lie in queues, but for an earlier version's and those that were put by themselves.
    const single = (this.#opened?.slots ?? []).filter(({ kind }) => store === "single" || kind !== "lock");
    const absent = new Set(missing);
    return [JOURNAL_NAME, ...LISTENER_NAMES, ...single.map(slotName), ...leftOver, ...apart]
      .filter((name) => !absent.has(name));
  }

  /** What the store has and should not have. */
  #unwantedNames(): readonly string[] {
    const { handed } = this.#parts;
    if (handed === undefined) return this.#opened?.recovered?.unwanted ?? [];
    return readHandover(handed.extension?.journal).leftOver;
  }

  #open(): OpenedJournal | undefined {
    try {
      return openJournal({ ...this.#parts, keeper: this.#keeper, returned: this.#read.descriptors });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#trouble = error.message;
      return undefined;
    }
  }

  #journalSection(): NonNullable<Sections["journal"]> {
    const { bytes, failed } = this.recorder?.log.status ?? { bytes: 0, failed: "not open" };
    return {
      kind: this.outlives ? "store" : "file",
      bytes,
      ...(failed === undefined ? {} : { failed }),
    };
  }

  #storeSection(): NonNullable<Sections["store"]> {
    const status = this.#store?.status;
    return status === undefined ? { present: false } : { present: true, ...status };
  }
}

/**
 * How many descriptors the service manager keeps: it says so itself since systemd 254, our unit does before.
 */
function storeLimit(env: CrashSafetyParts["env"]): number {
  const limit = Number(env["FDSTORE"] ?? env["VIRTLOCKD_FDSTORE_MAX"] ?? "0");
  return Number.isInteger(limit) ? limit : 0;
}
