import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import { NotifyQueue } from "../../chassis/systemd/notify_queue.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { F_SETFD, FD_CLOEXEC } from "../../os/constants.ts";
import { SystemError } from "../../os/system_error.ts";
import { counted } from "../../chassis/log/counted.ts";
import { JOURNAL_NAME, parseSlot, slotName } from "../journal/descriptor_names.ts";
import { DescriptorStore } from "../journal/descriptor_store.ts";
import type { StoreSocket } from "../journal/store_outbox.ts";
import { isTripwire } from "../journal/tripwires.ts";
import { DurableLog } from "../../chassis/journal/durable_log.ts";
import { LockRecorder } from "../journal/lock_recorder.ts";
import { journalPath } from "../../chassis/journal/layout.ts";
import { stampOfNow, writeStamp } from "../../chassis/journal/journal_stamp.ts";
import type { AdoptedQueue } from "../journal/descriptor_queue.ts";
import { parseQueueName } from "../journal/queue_names.ts";
import { type ReadQueues, readQueues } from "../journal/read_queues.ts";
import type { ReturnedDescriptor } from "../journal/recovered.ts";
import type { OwnerWatch } from "../lockspace/owner_watch.ts";
import { type Carried, NOTHING_CARRIED, recoveredState } from "../restart/recovered_state.ts";
import type { JsonValue, KeptDescriptor, RestartState } from "../restart/state.ts";
import type { Sections } from "../status/status_document.ts";
import { ofGuests, type Past } from "../daemon/beginning.ts";
import { handedTripwires } from "../handover/kept_descriptors.ts";
import type { Daemon } from "../daemon/daemon.ts";
import type { Ending } from "../daemon/ending.ts";
import { type JournalHandover, readHandover, writeHandover } from "./journal_handover.ts";
import {
  journalSnapshot,
  LISTENER_NAMES,
  listenersToStore,
  namedToStore,
  objectsToStore,
} from "./journal_snapshot.ts";
import { LeftJournalError } from "./left_journal_error.ts";
import { JOURNAL_PURPOSE, missesJournal, type OpenedJournal, openJournal } from "./open_journal.ts";
import { StoreGuard, type StoreGuardParts } from "./store_guard.ts";

/** How long the daemon's end waits for the service manager, in ms. */
const SETTLE_MS = 3000;

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
  /** Why it is not known whether it keeps descriptors; undefined when it is. */
  readonly doubt: string | undefined;
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
  /** What an earlier image of this process says of the store. */
  readonly #before: JournalHandover;
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
  #guard: StoreGuard | undefined;
  #trouble = "";
  #carried: () => Carried = () => NOTHING_CARRIED;

  /** @throws LeftJournalError */
  constructor(parts: CrashSafetyParts) {
    this.#parts = parts;
    this.#read = readQueues(parts.sys, parts.returned);
    for (const trouble of this.#read.damage) {
      parts.log.error(`Locks that systemd keeps cannot be read, it keeps them on: ${trouble}`);
    }
    this.#before = readHandover(parts.handed?.extension?.journal);
    this.#keeper = parts.notify !== undefined && (wantsStore(parts) || this.#before.dropped);
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
   * @param learn asks systemd what it keeps, if it is systemd
   */
  begin(daemon: Daemon, carried: () => Carried, learn: StoreGuardParts["learn"]): void {
    const { recorder } = this;
    if (recorder === undefined) {
      return this.#parts.log.error(`No journal, a crash would lose the locks: ${this.#trouble}`);
    }
    const { sys } = this.#parts;
    const { memory, log } = this.#opened ?? {};
    this.#carried = carried;
    this.#watch = daemon.watch;
    const snapshot = () => journalSnapshot(daemon, recorder, carried());
    this.#guard = this.#guarded(daemon, recorder, learn);
    for (const name of this.#unwantedNames()) this.#store?.remove(name);
    this.#store?.guard();
    log?.claim();
    const { exchange } = daemon;
    recorder.begin({ exchange, snapshot }, objectsToStore(daemon), namedToStore(daemon, recorder));
    // From now on, and not before, it is newer than what a file says: it has all that is known of that.
    if (memory !== undefined) writeStamp(memory, stampOfNow(sys));
    this.#store?.adopted();
    this.#store?.seal();
    if (storeLimit(this.#parts.env) === 0) this.#guard?.begin();
    else this.#guard?.look();
    this.#replaceStoredJournal(recorder.log.fd);
    this.#discardLeftFile();
    for (const owner of this.#opened?.recovered?.gone ?? []) daemon.reaper.free(owner);
    daemon.crashSections = () => ({ journal: this.#journalSection(), store: this.#storeSection() });
  }

  #guarded(daemon: Daemon, recorder: LockRecorder, learn: StoreGuardParts["learn"]) {
    const { loop, log } = this.#parts;
    const store = this.#store;
    if (store === undefined) return undefined;
    return new StoreGuard({
      store,
      loop,
      log,
      learn,
      drops: this.#before.drops,
      fill: () => {
        store.guard();
        recorder.fill(objectsToStore(daemon), namedToStore(daemon, recorder));
        store.seal();
      },
      atStake: () => {
        const { resourceCount } = daemon.table;
        return `${counted(resourceCount, "lock")}${ofGuests(daemon.table.resources())}`;
      },
    });
  }

  /** The configuration was read again: time to look whether systemd keeps everything. */
  look(): void {
    this.#guard?.look();
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
    for (const name of new Set(listeners.map(({ name }) => name))) store.purge(name);
    store.store(listeners, () => {});
  }

  /** Whether locks, clients and listening sockets outlive an orderly end of this process. */
  get outlives(): boolean {
    return this.#store?.kept === true;
  }

  /** What becomes of the descriptors when this process ends. */
  get copies(): "kept" | "dropped" | "none" {
    if (this.#store === undefined) return "none";
    return this.#store.kept ? "kept" : "dropped";
  }

  /** How many descriptors the store has no room for. */
  get refused(): number {
    return this.#store?.status.refused ?? 0;
  }

  /** Waits until it is known whether the service manager takes what it is being sent anew. */
  settle(): void {
    const { sys, loop } = this.#parts;
    const end = sys.monotonic() + SETTLE_MS;
    while (this.#guard?.busy === true && sys.monotonic() < end) loop.turn(SETTLE_MS);
  }

  /** What the next image has to know of the service manager and this one had to find out. */
  get variables(): Readonly<Record<string, string>> {
    const limit = this.#guard?.limit;
    return limit === undefined ? {} : { FDSTORE: String(limit) };
  }

  /** Whether nothing at all would be lost if this process were killed now. */
  get sound(): boolean {
    return this.#store?.kept === true && !this.#store.refused && this.recorder !== undefined &&
      this.recorder.log.status.failed === undefined;
  }

  /** What must stay open over a re-exec. */
  get kept(): KeptDescriptor[] {
    const tripwires = this.#store?.tripwires ?? [];
    return [
      ...this.recorder === undefined ? [] : [{ purpose: JOURNAL_PURPOSE, fd: this.recorder.log.fd }],
      ...tripwires.map(({ name, fd }) => ({ purpose: name, fd })),
    ];
  }

  /** What the next image needs to go on. */
  get handover(): JsonValue {
    this.recorder?.log.forgetRemoved();
    const names = [...this.#store?.names ?? []];
    return writeHandover({
      store: this.#store?.kept === true ? "queues" : "none",
      dropped: this.#store?.kept === false,
      drops: this.#guard?.drops ?? 0,
      tight: this.#store?.tight ?? false,
      apart: names.filter((name) => parseSlot(name)?.kind === "lock"),
      listeners: LISTENER_NAMES.filter((name) => names.includes(name)),
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
    this.#guard?.rest();
    if (this.recorder === undefined) done(undefined);
    else this.recorder.log.leave(done);
  }

  /** The daemon that was to take over did not. */
  stay(daemon: Daemon): void {
    this.#store?.guard();
    this.recorder?.stay(objectsToStore(daemon), namedToStore(daemon, this.recorder));
    this.#store?.seal();
    this.#guard?.resume();
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
      dropped: () => this.#guard?.dropped(),
    });
    store.adopt(this.#earlierQueues());
    const tripwires = handedTripwires(this.#parts.handed);
    for (const { fd } of tripwires) sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
    store.adoptTripwires(tripwires, this.#parts.returned.filter(({ name }) => isTripwire(name)));
    if (storeLimit(env) === 0) store.suspend();
    return store;
  }

  /** Queues of an earlier life that the store has. */
  #earlierQueues(): readonly AdoptedQueue[] {
    const { handed } = this.#parts;
    if (handed === undefined) return this.#read.queues;
    const { queues, missing } = this.#before;
    // The message with such a one was still to be sent; with its process's ends the queue is gone.
    return queues.filter(({ name }) => !missing.includes(name));
  }

  /** What the store has already, except queues. */
  #storedNames(): string[] {
    const { handed, returned } = this.#parts;
    if (handed === undefined) {
      // Listening sockets may be the service manager's own, which are not in its store.
      const names: readonly string[] = LISTENER_NAMES;
      return returned.map(({ name }) => name).filter((name) =>
        parseQueueName(name) === undefined && !names.includes(name)
      );
    }
    const { store, missing, leftOver, apart, listeners } = this.#before;
    if (store === "none") return [];
    // Locks lie in queues, but for an earlier version's and those that were put by themselves.
    const single = (this.#opened?.slots ?? []).filter(({ kind }) => store === "single" || kind !== "lock");
    const absent = new Set(missing);
    return [JOURNAL_NAME, ...listeners, ...single.map(slotName), ...leftOver, ...apart]
      .filter((name) => !absent.has(name));
  }

  /** What the store has and should not have. */
  #unwantedNames(): readonly string[] {
    const { handed } = this.#parts;
    if (handed === undefined) return this.#opened?.recovered?.unwanted ?? [];
    return this.#before.leftOver;
  }

  #open(): OpenedJournal | undefined {
    try {
      return openJournal({ ...this.#parts, keeper: this.#keeper, returned: this.#read.descriptors });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (missesJournal(this.#parts, error)) {
        throw new LeftJournalError(journalPath(this.#parts.journalDir), error);
      }
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
    if (status === undefined) return { present: false };
    const { drops = 0, trouble } = this.#guard ?? {};
    return { present: true, ...status, drops, ...(trouble === undefined ? {} : { reason: trouble }) };
  }
}

/**
 * How many descriptors the service manager keeps: it says so itself since systemd 254, our unit does before.
 */
function storeLimit(env: CrashSafetyParts["env"]): number {
  return numberOf(env["FDSTORE"] ?? env["VIRTLOCKD_FDSTORE_MAX"]);
}

/**
 * Whether there should be a store: the service manager has one, our unit asks for one, or it is not known.
 */
function wantsStore({ env, doubt }: CrashSafetyParts): boolean {
  return storeLimit(env) > 0 || numberOf(env["VIRTLOCKD_FDSTORE_MAX"]) > 0 || doubt !== undefined;
}

function numberOf(text: string | undefined): number {
  const limit = Number(text ?? "0");
  return Number.isInteger(limit) ? limit : 0;
}
