import { NotifyQueue } from "../../chassis/systemd/notify_queue.ts";
import { SystemError } from "../../os/system_error.ts";
import { counted } from "../../chassis/log/counted.ts";
import { JOURNAL_NAME } from "../journal/descriptor_names.ts";
import type { DescriptorStore } from "../store/descriptor_store.ts";
import { DurableLog } from "../../chassis/journal/durable_log.ts";
import { endedOperation, LockRecorder } from "../journal/lock_recorder.ts";
import type { EndedOwner } from "../lockspace/holder_reaper.ts";
import { journalPath } from "../../chassis/journal/layout.ts";
import { stampOfNow, writeStamp } from "../../chassis/journal/journal_stamp.ts";
import { type Owner, ownerKey } from "../lockspace/owner.ts";
import { endedMark, type ProcessMark } from "../lockspace/owner_watch.ts";
import { type Carried, NOTHING_CARRIED, recoveredState, withoutLineage } from "../restart/recovered_state.ts";
import type { JsonValue, KeptDescriptor, RestartState } from "../restart/state.ts";
import { ofGuests, type Past } from "../daemon/beginning.ts";
import type { Daemon } from "../daemon/daemon.ts";
import type { Ending } from "../daemon/ending.ts";
import type { CrashSafetyParts } from "./crash_safety_parts.ts";
import { crashSections } from "./crash_sections.ts";
import { EarlierStore } from "./earlier_store.ts";
import { handoverOf, writeHandover } from "./journal_handover.ts";
import { journalSnapshot, listenersToStore, namedToStore, objectsToStore } from "./journal_snapshot.ts";
import { LeftJournalError } from "./left_journal_error.ts";
import { missesJournal } from "./missed_journal.ts";
import { JOURNAL_PURPOSE, openJournal } from "./open_journal.ts";
import type { OpenedJournal } from "./opened_journal.ts";
import { openStore } from "./open_store.ts";
import { storeLimit, wantsStore } from "./store_limit.ts";
import { StoreGuard, type StoreGuardParts } from "./store_guard.ts";

/** How long the daemon's end waits for the service manager, in ms. */
const SETTLE_MS = 3000;

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
  /** What an earlier life has left in it. */
  readonly #earlier: EarlierStore;
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
  #markOf: (owner: Owner) => ProcessMark = ({ pid }) => ({ pid, start: 0 });
  #guard: StoreGuard | undefined;
  #trouble = "";
  #carried: () => Carried = () => NOTHING_CARRIED;

  /** @throws LeftJournalError */
  constructor(parts: CrashSafetyParts) {
    this.#parts = parts;
    this.#earlier = new EarlierStore(parts);
    const { notify, env, doubt, loop, log: logger } = parts;
    this.#keeper = notify !== undefined && (wantsStore(env, doubt) || this.#earlier.told.dropped);
    this.#opened = this.#open();
    this.#store = this.#openStore();
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
      markOf: (owner) => this.#markOf(owner),
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
   * @param known owners whose process is gone, as an earlier image of this process knew; they are freed
   */
  begin(
    daemon: Daemon,
    carried: () => Carried,
    learn: StoreGuardParts["learn"],
    known: readonly EndedOwner[] = [],
  ): void {
    const { recorder } = this;
    if (recorder === undefined) {
      for (const owner of known) daemon.reaper.free(owner);
      return this.#parts.log.error(`No journal, a crash would lose the locks: ${this.#trouble}`);
    }
    const { sys } = this.#parts;
    const { memory, log } = this.#opened ?? {};
    this.#carried = carried;
    const unfreed = new Map(
      [...this.#opened?.recovered?.gone ?? [], ...known].map((owner) => [owner.key, owner]),
    );
    this.#markOf = (owner) => unfreed.has(ownerKey(owner)) ? endedMark(owner) : daemon.reaper.markOf(owner);
    // Of a process that is gone nothing else tells the next life, should this one end before it frees all.
    const snapshot = function* () {
      yield* journalSnapshot(daemon, recorder, carried());
      for (const owner of unfreed.values()) yield endedOperation(owner);
    };
    this.#guard = this.#guarded(daemon, recorder, learn);
    for (const name of this.#earlier.unwanted(this.#opened?.recovered)) this.#store?.remove(name);
    this.#store?.guard();
    log?.claim();
    const { exchange } = daemon;
    recorder.begin({ exchange, snapshot }, objectsToStore(daemon), namedToStore(daemon, recorder));
    // From now on, and not before, it is newer than what a file says: it has all that is known of that.
    if (memory !== undefined) writeStamp(memory, stampOfNow(sys));
    this.#store?.adopted();
    this.#store?.seal();
    if (storeLimit(this.#parts.env, this.#parts.doubt) === 0) this.#guard?.begin();
    else this.#guard?.look();
    this.#replaceStoredJournal(recorder.log.fd);
    this.#discardLeftFile();
    const gone = [...unfreed.values()];
    unfreed.clear();
    for (const owner of gone) daemon.reaper.free(owner);
    daemon.crashSections = () => crashSections({ log: recorder.log, store: this.#store, guard: this.#guard });
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
      drops: this.#earlier.told.drops,
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

  /** What the next life gets beside locks and clients has changed: recorded before what is recorded next. */
  carriedChanged(): void {
    this.recorder?.log.add({ op: "carried", state: this.#carried() });
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

  /** Whether the locks that are held at the end are in a file, by which the next daemon takes them again. */
  get leavesFile(): boolean {
    return !this.outlives && this.#opened?.file !== undefined;
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
    const { env, doubt } = this.#parts;
    const limit = this.#guard?.limit ?? (doubt === undefined ? undefined : storeLimit(env, doubt));
    return limit === undefined ? {} : { FDSTORE: String(limit) };
  }

  /** Whether nothing at all would be lost if this process were killed now. */
  get sound(): boolean {
    return this.#store?.kept === true && !this.#store.refused && this.recorder !== undefined &&
      this.recorder.log.status.failed === undefined;
  }

  /** What must stay open over a re-exec. */
  get kept(): KeptDescriptor[] {
    const tripwires = this.#store?.contents.tripwires ?? [];
    return [
      ...this.recorder === undefined ? [] : [{ purpose: JOURNAL_PURPOSE, fd: this.recorder.log.fd }],
      ...tripwires.map(({ name, fd }) => ({ purpose: name, fd })),
    ];
  }

  /** What the next image needs to go on. */
  get handover(): JsonValue {
    this.recorder?.log.forgetRemoved();
    return writeHandover(handoverOf(this.#store, this.#guard?.drops ?? 0));
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
    const { statistics, lineage, tries } = this.#carried();
    const carried = { ...NOTHING_CARRIED, statistics, ...lineage && { lineage }, ...tries && { tries } };
    // Nothing is left by which the next daemon would know locks that are given up.
    const known = ending === "given-up" ? withoutLineage(carried) : carried;
    this.#carried = () => known;
    const over = this.outlives ? ending === "given-up" : daemon.table.resourceCount === 0;
    if (file !== undefined && over) file.remove();
    else this.recorder?.log.finish({ op: "carried", state: this.#carried() });
  }

  #openStore(): DescriptorStore | undefined {
    const { notify, env, doubt, loop, sys, ledger, log } = this.#parts;
    if (notify === undefined || !this.#keeper) return undefined;
    return openStore({
      socket: notify,
      loop,
      sys,
      ledger,
      log,
      limit: storeLimit(env, doubt),
      earlier: this.#earlier,
      slots: this.#opened?.slots ?? [],
      dropped: () => this.#guard?.dropped(),
    });
  }

  #open(): OpenedJournal | undefined {
    try {
      return openJournal({ ...this.#parts, keeper: this.#keeper, returned: this.#earlier.descriptors });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (missesJournal(this.#parts, error)) {
        throw new LeftJournalError(journalPath(this.#parts.journalDir), error);
      }
      this.#trouble = error.message;
      return undefined;
    }
  }
}
