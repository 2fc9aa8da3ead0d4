import { ordinalOf } from "../../chassis/rpc/client_key.ts";
import { readExchange } from "../../chassis/rpc/counted_exchange.ts";
import type { Log } from "../../chassis/log/log.ts";
import { F_SETFD, FD_CLOEXEC } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { JOURNAL_NAME, parseSlot } from "../journal/descriptor_names.ts";
import { type InFlight, inFlight } from "../journal/in_flight.ts";
import { joinRecovered, leaveOut } from "../journal/joined_recovery.ts";
import { JournalFile } from "../journal/journal_file.ts";
import { SharedMemory } from "../journal/journal_memory.ts";
import { isOfAnotherBoot, type JournalStamp, readStamp, stampOfNow } from "../journal/journal_stamp.ts";
import { JournalState } from "../journal/journal_state.ts";
import { EXCHANGE_OFFSET } from "../journal/layout.ts";
import { type FoundLog, LogFile } from "../journal/log_file.ts";
import type { OwnerRecord } from "../journal/journaled_lock.ts";
import type { Recovered, ReturnedDescriptor, StoredObject } from "../journal/recovered.ts";
import { recover } from "../journal/recovery.ts";
import { clientKind } from "../journal/slots.ts";
import { processState } from "../lockspace/process_state.ts";
import { type Carried, NOTHING_CARRIED, readCarried } from "../restart/recovered_state.ts";
import type { RestartState } from "../restart/state.ts";
import { readMounts } from "../storage/mount_table.ts";
import type { MountTree } from "../storage/mount_tree.ts";
import { placeOf } from "../storage/placement.ts";
import { readHandover } from "./journal_handover.ts";

/** Purpose under which the journal's descriptor is handed over at re-exec. */
export const JOURNAL_PURPOSE = "journal";

/** What there is to open a journal from. */
export interface JournalSources {
  readonly sys: Sys;
  readonly ledger: DescriptorLedger;
  readonly log: Log;
  /** Directory of the journal where no service manager keeps it. */
  readonly journalDir: string;
  /** Whether the service manager keeps descriptors. */
  readonly keeper: boolean;
  /** What it handed over, with the queues opened. */
  readonly returned: readonly ReturnedDescriptor[];
  /** State of an earlier image of this very process. */
  readonly handed: RestartState | undefined;
}

/** Where the journal is, and what it said when it was opened. */
export interface OpenedJournal {
  readonly memory: SharedMemory;
  readonly log: LogFile;
  /** Its file; undefined when it is the service manager's to keep. */
  readonly file: JournalFile | undefined;
  readonly recovered: Recovered | undefined;
  readonly carried: Carried;
  /** What the store has, as far as slots are known. */
  readonly slots: readonly StoredObject[];
  /** A file that an earlier daemon without a store left: to be discarded when everything is in the store. */
  readonly left: JournalFile | undefined;
}

/** What is in a journal. */
interface Contents extends FoundLog {
  readonly bytes: InFlight;
  readonly stamp: JournalStamp;
}

/**
 * Opens the journal, wherever it is, and recovers what an earlier life has left in it.
 *
 * @throws SystemError when there is no memory or no place for it
 */
export function openJournal(sources: JournalSources): OpenedJournal {
  return new Opening(sources).open();
}

class Opening {
  readonly #sources: JournalSources;
  #tree: MountTree | undefined;

  constructor(sources: JournalSources) {
    this.#sources = sources;
  }

  open(): OpenedJournal {
    const { handed, returned, keeper, sys } = this.#sources;
    if (handed !== undefined) return this.#handed(handed);
    const [journal, ...others] = returned.filter(({ name }) => name === JOURNAL_NAME);
    for (const { fd } of others) sys.close(fd);
    if (journal !== undefined) return this.#withLeftFile(this.#stored(journal.fd));
    return keeper ? this.#withLeftFile(this.#fresh(this.#memfd(), undefined)) : this.#inFile();
  }

  /** An earlier image handed its state over, which is newer than anything that a journal says. */
  #handed(handed: RestartState): OpenedJournal {
    const { sys, ledger, journalDir, keeper } = this.#sources;
    const hadStore = readHandover(handed.extension?.journal).store !== "none";
    const kept = handed.extension?.kept.find(({ purpose }) => purpose === JOURNAL_PURPOSE)?.fd;
    if (kept !== undefined) sys.fcntl(kept, F_SETFD, FD_CLOEXEC);
    if (kept !== undefined && hadStore === keeper) {
      const file = keeper ? undefined : new JournalFile(sys, ledger, journalDir, kept);
      if (file === undefined) ledger.own(kept, "journal");
      const memory = new SharedMemory(sys, kept);
      const read = LogFile.read(memory);
      if (typeof read === "string") return this.#voidingFile(this.#fresh(kept, file));
      const slots = hadStore ? slotsOf(read.state) : [];
      const opened = { memory, log: read.log, file, carried: NOTHING_CARRIED, slots };
      return this.#voidingFile({ ...opened, recovered: undefined, left: undefined });
    }
    if (!keeper) {
      // What is in memory that nobody keeps would not outlive this process.
      if (kept !== undefined) sys.close(kept);
      const file = this.#file(true);
      return this.#fresh(file.fd, file);
    }
    const fresh = this.#fresh(this.#memfd(), undefined);
    // Until now the daemon had no store.
    if (kept !== undefined) return { ...fresh, left: new JournalFile(sys, ledger, journalDir, kept) };
    return this.#voidingFile(fresh);
  }

  /** With a store a file counts no more, whatever it says, when a state was handed over. */
  #voidingFile(opened: OpenedJournal): OpenedJournal {
    return opened.file === undefined ? { ...opened, left: this.#leftFile() } : opened;
  }

  /** The journal that came back from the store. */
  #stored(fd: number): OpenedJournal {
    const { sys, ledger } = this.#sources;
    sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
    ledger.own(fd, "journal");
    const memory = new SharedMemory(sys, fd);
    return this.#recovered(memory, undefined) ?? this.#fresh(fd, undefined);
  }

  /** The journal in the file, for a daemon without a store. */
  #inFile(): OpenedJournal {
    const { sys, log } = this.#sources;
    const file = this.#file(true);
    const memory = new SharedMemory(sys, file.fd);
    if (memory.size === 0) return this.#fresh(file.fd, file);
    if (isOfAnotherBoot(readStamp(memory), stampOfNow(sys))) {
      log.info(`The journal ${file.path} is of an earlier boot of this host: it is void`);
      return this.#fresh(file.fd, file);
    }
    return this.#recovered(memory, file) ?? this.#fresh(file.fd, file);
  }

  /** @returns undefined when there is nothing that can be read */
  #recovered(memory: SharedMemory, file: JournalFile | undefined): OpenedJournal | undefined {
    if (memory.size === 0) return undefined;
    const read = LogFile.read(memory);
    if (typeof read === "string") {
      this.#sources.log.error(`The journal that an earlier daemon has left cannot be read: ${read}`);
      return undefined;
    }
    const contents = this.#contents(memory, read);
    const recovered = this.#recover(contents.state, contents.bytes, contents.damage !== undefined, file);
    const carried = readCarried(contents.state.carried);
    return { memory, log: read.log, file, recovered, carried, slots: recovered.slots, left: undefined };
  }

  #contents(memory: SharedMemory, read: FoundLog): Contents {
    if (read.damage !== undefined) this.#sources.log.error(`The journal is damaged: ${read.damage}`);
    const bytes = inFlight(read.state, readExchange(memory.bytes, EXCHANGE_OFFSET));
    return { state: read.state, damage: read.damage, bytes, stamp: readStamp(memory) };
  }

  /**
   * Adds what a daemon without a store has left in a file, if nothing newer is known: libvirt's unit has
   * none, so the first restart after an installation finds only that.
   */
  #withLeftFile(opened: OpenedJournal): OpenedJournal {
    const { sys, log } = this.#sources;
    const file = this.#leftFile();
    if (file === undefined) return opened;
    const withFile = { ...opened, left: file };
    let memory: SharedMemory;
    try {
      memory = new SharedMemory(sys, file.fd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.error(`The journal ${file.path} that an earlier daemon has left cannot be read: ${error.message}`);
      return withFile;
    }
    if (memory.size === 0) return withFile;
    const read = LogFile.read(memory);
    if (typeof read === "string") {
      log.error(`The journal ${file.path} that an earlier daemon has left cannot be read: ${read}`);
      return withFile;
    }
    const { state, damage, bytes, stamp } = this.#contents(memory, read);
    const isVoid = isOfAnotherBoot(stamp, stampOfNow(sys))
      ? "is of an earlier boot of this host"
      : opened.recovered !== undefined && stamp.begun <= readStamp(opened.memory).begun
      ? "is older than the one in the store"
      : undefined;
    if (isVoid !== undefined) {
      log.info(`The journal ${file.path} ${isVoid}: it is void`);
      return withFile;
    }
    if (opened.recovered !== undefined) leaveOut(state, opened.recovered, (owner) => this.#mayLive(owner));
    const second = this.#recover(state, bytes, damage !== undefined, file);
    const recovered = opened.recovered === undefined ? second : joinRecovered(opened.recovered, second);
    const carried = opened.recovered === undefined ? readCarried(state.carried) : opened.carried;
    return { ...withFile, recovered, carried };
  }

  /**
   * A journal's file that is there beside the store; undefined also when it cannot be used, which is said.
   */
  #leftFile(): JournalFile | undefined {
    const { sys, ledger, journalDir, log } = this.#sources;
    try {
      return JournalFile.open(sys, ledger, journalDir, false);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.error(`A journal of an earlier daemon is left alone: ${error.message}`);
      return undefined;
    }
  }

  #file(make: true): JournalFile {
    const { sys, ledger, journalDir } = this.#sources;
    const file = JournalFile.open(sys, ledger, journalDir, make);
    if (file === undefined) throw new Error("Open journal: it was to be made, and was not");
    return file;
  }

  /** In the store; from the beginning it must be there, or what comes to be stored would have no meaning. */
  #memfd(): number {
    const { sys, ledger } = this.#sources;
    return ledger.own(must(sys.memfd("virtlockd-journal"), "memfd_create", "journal"), "journal");
  }

  /** An empty journal. What the service manager has kept without one cannot be explained, and is kept on. */
  #fresh(fd: number, file: JournalFile | undefined): OpenedJournal {
    const { sys, returned, handed } = this.#sources;
    must(sys.ftruncate(fd, 0), "ftruncate", "journal");
    const memory = new SharedMemory(sys, fd);
    const log = LogFile.create(memory);
    const unexplained = handed === undefined && returned.some(({ name }) => parseSlot(name) !== undefined);
    const state = new JournalState();
    const recovered = unexplained ? this.#recover(state, state, true, file) : undefined;
    const slots = recovered?.slots ?? [];
    return { memory, log, file, recovered, carried: NOTHING_CARRIED, slots, left: undefined };
  }

  #recover(
    state: JournalState,
    bytes: InFlight,
    damaged: boolean,
    file: JournalFile | undefined,
  ): Recovered {
    const { sys, returned } = this.#sources;
    return recover({
      sys,
      state,
      inFlight: bytes,
      // A file's journal knows of no descriptors.
      descriptors: file === undefined ? returned : [],
      mayHang: (path) => placeOf(sys, this.#mounts(), path) !== undefined,
      damaged,
      now: Date.now(),
    });
  }

  /** Read when a path is first asked for: most lives leave nothing to be taken again. */
  #mounts(): MountTree {
    this.#tree ??= readMounts(this.#sources.sys);
    return this.#tree;
  }

  /** Whether it is not certain that an owner's process has ended. */
  #mayLive({ pid, hostPid = pid, start }: OwnerRecord): boolean {
    if (start === 0) return true;
    const state = processState(this.#sources.sys, hostPid);
    return state !== undefined && !state.exiting && state.startTime === start;
  }
}

/** The slots of everything that a journal knows. */
function slotsOf(state: JournalState): StoredObject[] {
  const slots: StoredObject[] = [];
  for (const { record, slot } of state.locks.values()) {
    if (slot !== undefined) slots.push({ kind: "lock", id: record.id, index: slot });
  }
  for (const { key, slot } of state.clients.values()) {
    if (slot !== undefined) slots.push({ kind: clientKind(ordinalOf(key)), id: key, index: slot });
  }
  for (const [pid, { slot }] of state.dying) {
    if (slot !== undefined) slots.push({ kind: "dying holder", id: pid, index: slot });
  }
  return slots;
}
