import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { DescriptorStore, type StoreSocket } from "../journal/descriptor_store.ts";
import { JOURNAL_NAME, parseSlot, slotName } from "../journal/descriptor_names.ts";
import { type InFlight, inFlight } from "../journal/in_flight.ts";
import { Journal, type StoredObject } from "../journal/journal.ts";
import { clientKind } from "../journal/slots.ts";
import { JournalState } from "../journal/journal_state.ts";
import { SharedMemory } from "../journal/journal_memory.ts";
import { EXCHANGE_OFFSET, journalPath } from "../journal/layout.ts";
import { LogFile } from "../journal/log_file.ts";
import { type ReadQueues, readQueues } from "../journal/read_queues.ts";
import { type Orphan, OrphanHolders } from "../journal/orphan_holders.ts";
import { recover, type Recovered, type ReturnedDescriptor } from "../journal/recovery.ts";
import { processState } from "../lockspace/process_state.ts";
import type { Log } from "../../chassis/log/log.ts";
import { F_SETFD, F_WRLCK, FD_CLOEXEC, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDWR } from "../../os/constants.ts";
import { EEXIST } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { type Carried, NOTHING_CARRIED, readCarried, recoveredState } from "../restart/recovered_state.ts";
import type { JsonValue, KeptDescriptor, RestartState } from "../restart/state.ts";
import { ordinalOf } from "../../chassis/rpc/client_key.ts";
import type { Sections } from "../status/status_document.ts";
import { readExchange } from "../../chassis/rpc/counted_exchange.ts";
import { NotifyQueue } from "../../chassis/systemd/notify_queue.ts";
import type { Past } from "./beginning.ts";
import type { Daemon } from "./daemon.ts";
import { journalSnapshot, LISTENER_NAMES, namedToStore, objectsToStore } from "./journal_snapshot.ts";

/** What is said of the store at re-exec: a version that knows no queues stores everything anew then. */
const IN_QUEUES = "queues";
/** Purpose under which the journal's descriptor is handed over at re-exec. */
const JOURNAL_PURPOSE = "journal";

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

/** Where the journal is, and what it said when it was opened. */
interface Opened {
  readonly memory: SharedMemory;
  readonly log: LogFile;
  /** Path of its file; undefined when it is the service manager's to keep. */
  readonly path: string | undefined;
  readonly recovered: Recovered | undefined;
  readonly carried: Carried;
  /** What the store has, as far as slots are known. */
  readonly slots: readonly StoredObject[];
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
  readonly #opened: Opened | undefined;
  /** Undefined when it could not be opened. */
  readonly journal: Journal | undefined;
  /**
   * What an earlier life has left; undefined when it left nothing, or an earlier image handed its state over
   * itself.
   */
  readonly recovered: RestartState | undefined;
  /** How the daemon that left {@link recovered} has ended. */
  readonly past: Past = { kind: "none" };
  #orphans: OrphanHolders | undefined;
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
      (errno) => logger.warn(new SystemError("Tell the service manager", "NOTIFY_SOCKET", errno).message),
    );
    if (this.#opened === undefined) return;
    const { memory, log, recovered, carried, slots } = this.#opened;
    this.journal = new Journal({
      memory,
      log,
      store: this.#store,
      slots,
      loop: parts.loop,
      logger: parts.log,
      startTime: (pid) => processState(parts.sys, pid)?.startTime ?? 0,
    });
    if (recovered === undefined) return;
    for (const { level, message } of recovered.findings) parts.log[level](message);
    const { cwd, limits } = parts;
    this.recovered = recoveredState(recovered, carried, { pid: parts.sys.pid(), cwd, limits });
    // An ordinary end leaves no limits.
    this.past = { kind: carried.limits.length === 0 ? "restart" : "crash", lost: recovered.lost };
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
    const { journal } = this;
    if (journal === undefined) {
      return this.#parts.log.error(`No journal, a crash would lose the locks: ${this.#trouble}`);
    }
    const { loop, ledger } = this.#parts;
    this.#carried = carried;
    const orphans = new OrphanHolders(loop, ledger, (pid) => daemon.reaper.end(pid, -1));
    this.#orphans = orphans;
    for (const { pid, start, pidfd } of this.#orphansLeft()) orphans.watch({ pid, start }, pidfd);
    const snapshot = () => journalSnapshot(daemon, journal, orphans.all, carried());
    for (const name of this.#unwantedNames()) this.#store?.remove(name);
    journal.begin(daemon.exchange, snapshot, objectsToStore(daemon), namedToStore(daemon, journal));
    this.#giveUpEarlierQueues();
    for (const pid of this.#opened?.recovered?.gone ?? []) daemon.reaper.end(pid, -1);
    daemon.crashSections = () => ({ journal: this.#journalSection(), store: this.#storeSection() });
  }

  /** What was in them is stored anew by now, or about to be: messages to the store keep their order. */
  #giveUpEarlierQueues(): void {
    const store = this.#store;
    if (store === undefined || this.#read.damage.length > 0 || store.refused) return;
    for (const name of this.#earlierQueues) store.remove(name);
  }

  /** Whether locks, clients and listening sockets outlive an orderly end of this process. */
  get outlives(): boolean {
    return this.#store !== undefined;
  }

  /** Whether nothing at all would be lost if this process were killed now. */
  get sound(): boolean {
    return this.#store !== undefined && !this.#store.refused && this.journal !== undefined &&
      this.journal.status.failed === undefined;
  }

  /** What must stay open over a re-exec. */
  get kept(): KeptDescriptor[] {
    return this.journal === undefined ? [] : [{ purpose: JOURNAL_PURPOSE, fd: this.journal.fd }];
  }

  /** What the next image needs to go on. */
  get handover(): JsonValue {
    this.journal?.forgetRemoved();
    const apart = [...this.#store?.names ?? []].filter((name) => parseSlot(name)?.kind === "lock");
    return {
      store: this.#store === undefined ? false : IN_QUEUES,
      apart,
      queues: this.#store?.queues ?? [],
      missing: this.#store?.missing ?? [],
      leftOver: this.#store?.leftOver ?? [],
      orphans: (this.#orphans?.all ?? []).map(({ pid, start }) => ({ pid, start })),
    };
  }

  /**
   * Nobody may keep a copy of a lock any more. @param done called when that is so, or with why it is not
   * certain
   */
  leave(done: (reason: string | undefined) => void): void {
    if (this.journal === undefined) done(undefined);
    else this.journal.leave(done);
  }

  /** The daemon that was to take over did not. */
  stay(daemon: Daemon): void {
    this.journal?.stay(objectsToStore(daemon), namedToStore(daemon, this.journal));
  }

  /**
   * The daemon ends in an orderly way. In a store everything stays for the next one; a file stays while locks
   * are held.
   */
  finish(daemon: Daemon): void {
    const { path } = this.#opened ?? {};
    const { statistics } = this.#carried();
    this.#carried = () => ({ ...NOTHING_CARRIED, statistics });
    if (path !== undefined && daemon.table.resourceCount === 0) this.#parts.sys.unlink(path);
    else this.journal?.finish({ op: "carried", state: { limits: [], settings: {}, statistics } });
  }

  #openStore(): DescriptorStore | undefined {
    const { notify, env, loop, sys, ledger, log } = this.#parts;
    if (notify === undefined || !this.#keeper) return undefined;
    return new DescriptorStore({
      socket: notify,
      loop,
      sys,
      ledger,
      log,
      limit: storeLimit(env),
      stored: this.#storedNames(),
    });
  }

  /** What the store has already. */
  #storedNames(): string[] {
    const { handed, returned } = this.#parts;
    if (handed === undefined) return [...new Set(returned.map(({ name }) => name))];
    const said = asObject(handed.extension?.journal);
    if (!isStored(said)) return [];
    const missing = new Set(asList(said["missing"]));
    // Locks lie in queues, but for an earlier version's and those that were put by themselves.
    const queued = said["store"] === IN_QUEUES;
    const slots = (this.#opened?.slots ?? []).filter(({ kind }) => !queued || kind !== "lock").map(slotName);
    const others = ["leftOver", "apart", "queues"].flatMap((field) => asList(said[field]));
    return [JOURNAL_NAME, ...LISTENER_NAMES, ...slots, ...others].filter((name) => !missing.has(name));
  }

  /** What the store has and should not have. */
  #unwantedNames(): readonly string[] {
    const { handed } = this.#parts;
    if (handed === undefined) return this.#opened?.recovered?.unwanted ?? [];
    return asList(asObject(handed.extension?.journal)["leftOver"]);
  }

  /** Queues of an earlier life; what is in them is stored anew. */
  get #earlierQueues(): readonly string[] {
    const { handed } = this.#parts;
    return handed === undefined ? this.#read.queues : asList(asObject(handed.extension?.journal)["queues"]);
  }

  #open(): Opened | undefined {
    try {
      const { handed } = this.#parts;
      const returned = this.#read.descriptors;
      if (handed !== undefined) return this.#openHanded(handed);
      const journals = returned.filter(({ name }) => name === JOURNAL_NAME);
      for (const { fd } of journals.slice(1)) this.#parts.sys.close(fd);
      if (journals[0] !== undefined) return this.#openLeft(journals[0].fd, undefined);
      return this.#keeper ? this.#create() : this.#openFile(true);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#trouble = error.message;
      return undefined;
    }
  }

  #openHanded(handed: RestartState): Opened {
    const kept = handed.extension?.kept.find(({ purpose }) => purpose === JOURNAL_PURPOSE);
    if (kept === undefined) return this.#keeper ? this.#create() : this.#openFile(false);
    const { sys, journalDir } = this.#parts;
    sys.fcntl(kept.fd, F_SETFD, FD_CLOEXEC);
    const path = this.#keeper ? undefined : journalPath(journalDir);
    const memory = new SharedMemory(sys, this.#parts.ledger.own(kept.fd, "journal"));
    const read = LogFile.read(memory);
    // A journal of another layout: the state that was handed over is all there is to know.
    if (typeof read === "string") return this.#fresh(kept.fd, path);
    const stored = isStored(asObject(handed.extension?.journal));
    const slots = stored ? slotsOf(read.state) : [];
    return { memory, log: read.log, path, recovered: undefined, carried: NOTHING_CARRIED, slots };
  }

  /** In the store; from the beginning it must be there, or what comes to be stored would have no meaning. */
  #create(): Opened {
    const { sys, ledger } = this.#parts;
    const fd = ledger.own(must(sys.memfd("virtlockd-journal"), "memfd_create", "journal"), "journal");
    return this.#fresh(fd, undefined);
  }

  /** @param recoverIt whether to look at what an earlier daemon has left in it */
  #openFile(recoverIt: boolean): Opened {
    const { sys, ledger, journalDir } = this.#parts;
    const made = sys.mkdir(journalDir, 0o700);
    if (made < 0 && made !== -EEXIST) throw new SystemError("mkdir", journalDir, made);
    const path = journalPath(journalDir);
    const fd = must(sys.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600), "open", path);
    // Held as long as a daemon uses it: another one with a PID file of its own must not touch it.
    const locked = sys.ofdLock(fd, F_WRLCK, 0, 1);
    if (locked < 0) {
      sys.close(fd);
      throw new SystemError("lock", path, locked);
    }
    if (recoverIt) return this.#openLeft(fd, path);
    return this.#fresh(ledger.own(fd, "journal"), path);
  }

  #openLeft(fd: number, path: string | undefined): Opened {
    const { sys, ledger, log } = this.#parts;
    sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
    ledger.own(fd, "journal");
    const memory = new SharedMemory(sys, fd);
    if (memory.size === 0) return this.#fresh(fd, path);
    const read = LogFile.read(memory);
    if (typeof read === "string") {
      log.error(`The journal that an earlier daemon has left cannot be read: ${read}`);
      return this.#fresh(fd, path);
    }
    if (read.damage !== undefined) log.error(`The journal is damaged: ${read.damage}`);
    const remains = readExchange(memory.bytes, EXCHANGE_OFFSET);
    const recovered = this.#recover(
      read.state,
      inFlight(read.state, remains),
      read.damage !== undefined,
      path,
    );
    const carried = readCarried(read.state.carried);
    return { memory, log: read.log, path, recovered, carried, slots: recovered.slots };
  }

  /** An empty journal. What the service manager has kept without one cannot be explained, and is kept on. */
  #fresh(fd: number, path: string | undefined): Opened {
    const { sys, handed } = this.#parts;
    const returned = this.#read.descriptors;
    must(sys.ftruncate(fd, 0), "ftruncate", "journal");
    const memory = new SharedMemory(sys, fd);
    const log = LogFile.create(memory);
    const unexplained = handed === undefined && returned.some(({ name }) => parseSlot(name) !== undefined);
    const state = new JournalState();
    const recovered = unexplained ? this.#recover(state, state, true, path) : undefined;
    return { memory, log, path, recovered, carried: NOTHING_CARRIED, slots: recovered?.slots ?? [] };
  }

  #recover(state: JournalState, bytes: InFlight, damaged: boolean, path: string | undefined): Recovered {
    const { sys } = this.#parts;
    return recover({
      sys,
      state,
      inFlight: bytes,
      descriptors: this.#read.descriptors,
      damaged,
      stored: path === undefined,
      now: Date.now(),
    });
  }

  /** Holders without a connection, of the last life or of the image before this. */
  #orphansLeft(): readonly (Orphan & { pidfd: number })[] {
    const { sys, handed } = this.#parts;
    if (handed === undefined) return this.#opened?.recovered?.orphans ?? [];
    const said = asObject(handed.extension?.journal)["orphans"];
    return (Array.isArray(said) ? said : []).flatMap((entry) => {
      const { pid, start } = asObject(entry);
      if (typeof pid !== "number" || typeof start !== "number") return [];
      const pidfd = sys.pidfdOpen(pid);
      return pidfd < 0 ? [] : [{ pid, start, pidfd }];
    });
  }

  #journalSection(): NonNullable<Sections["journal"]> {
    const { bytes, failed } = this.journal?.status ?? { bytes: 0, failed: "not open" };
    return {
      kind: this.#opened?.path === undefined ? "store" : "file",
      bytes,
      orphans: this.#orphans?.all.length ?? 0,
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

/** The slots of everything that a journal knows. */
function slotsOf(state: JournalState): StoredObject[] {
  const slots: StoredObject[] = [];
  for (const { id, slot } of state.resources.values()) {
    if (slot !== undefined) slots.push({ kind: "lock", id, index: slot });
  }
  for (const { key, slot } of state.clients.values()) {
    if (slot !== undefined) slots.push({ kind: clientKind(ordinalOf(key)), id: key, index: slot });
  }
  for (const [pid, { slot }] of state.dying) {
    if (slot !== undefined) slots.push({ kind: "dying holder", id: pid, index: slot });
  }
  return slots;
}

/** Whether the image before this had a store. */
function isStored(said: Readonly<Record<string, unknown>>): boolean {
  return said["store"] === true || said["store"] === IN_QUEUES;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function asList(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}
