import { LogFile } from "../../chassis/journal/log_file.ts";
import type { Operation } from "../journal/operations.ts";
import { createLog, type FoundLog, passOverLog, readLog } from "../journal/lock_format.ts";
import { ordinalOf } from "../../chassis/rpc/client_key.ts";
import { readExchange } from "../../chassis/rpc/counted_exchange.ts";
import type { Log } from "../../chassis/log/log.ts";
import { F_SETFD, FD_CLOEXEC, S_IFMT, S_IFREG } from "../../os/constants.ts";
import { EAGAIN, ENOENT, ENOTDIR, ESRCH } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { JOURNAL_NAME, parseSlot } from "../journal/descriptor_names.ts";
import { type InFlight, inFlight } from "../../chassis/journal/in_flight.ts";
import { joinRecovered, leaveOut } from "../journal/joined_recovery.ts";
import { JournalFile } from "../../chassis/journal/journal_file.ts";
import { SharedMemory } from "../../chassis/journal/journal_memory.ts";
import {
  isOfAnotherBoot,
  type JournalStamp,
  readStamp,
  stampOfNow,
} from "../../chassis/journal/journal_stamp.ts";
import { JournalState } from "../journal/journal_state.ts";
import { EXCHANGE_OFFSET, journalPath } from "../../chassis/journal/layout.ts";
import type { OwnerRecord } from "../journal/journaled_lock.ts";
import type { Recovered, ReturnedDescriptor, StoredObject } from "../journal/recovered.ts";
import { recover } from "../journal/recovery.ts";
import { clientKind } from "../journal/slots.ts";
import { readProcess } from "../lockspace/process_state.ts";
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
  readonly log: LogFile<Operation>;
  /** Its file; undefined when it is memory without a name, which only the service manager keeps. */
  readonly file: JournalFile | undefined;
  readonly recovered: Recovered | undefined;
  readonly carried: Carried;
  /** What the store has, as far as slots are known. */
  readonly slots: readonly StoredObject[];
  /** The file of another daemon's journal: to be discarded when everything is in the store. */
  readonly left: JournalFile | undefined;
  /** Whether the store has another journal under the name of this one. */
  readonly replaces: boolean;
}

/** An opened journal that says nothing of an earlier life. */
const GOING_ON = {
  recovered: undefined,
  carried: NOTHING_CARRIED,
  left: undefined,
  replaces: false,
} as const satisfies Partial<OpenedJournal>;

/** What is in a journal. */
interface Contents extends Omit<FoundLog, "log"> {
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
    const { handed, returned, sys } = this.#sources;
    if (handed !== undefined) return this.#handed(handed);
    const [journal, ...others] = returned.filter(({ name }) => name === JOURNAL_NAME);
    for (const { fd } of others) sys.close(fd);
    return journal === undefined ? this.#inFile() : this.#stored(journal.fd);
  }

  /** An earlier image handed its state over, which is newer than anything that a journal says. */
  #handed(handed: RestartState): OpenedJournal {
    const { sys, ledger, keeper } = this.#sources;
    const stored = readHandover(handed.extension?.journal).store !== "none";
    const kept = handed.extension?.kept.find(({ purpose }) => purpose === JOURNAL_PURPOSE)?.fd;
    const file = kept === undefined ? undefined : this.#named(kept);
    if (kept !== undefined && file !== undefined) {
      const memory = new SharedMemory(sys, kept);
      // Only the slots of the store are nowhere but in the journal.
      const read = stored && keeper ? readLog(memory) : passOverLog(memory);
      if (typeof read === "string") return this.#fresh(kept, file);
      if (read instanceof LogFile) return { ...GOING_ON, memory, log: read, file, slots: [] };
      return { ...GOING_ON, memory, log: read.log, file, slots: slotsOf(read.state) };
    }
    // What another daemon may have left in that place counts no more.
    const opened = this.#freshAnywhere();
    if (kept === undefined) return opened;
    // An earlier version's, or its file was removed.
    const read = readLog(new SharedMemory(sys, ledger.own(kept, "journal")));
    ledger.close(kept);
    const slots = stored && keeper && typeof read !== "string" ? slotsOf(read.state) : [];
    return { ...opened, slots, replaces: stored && keeper };
  }

  /** The file of the journal, if this is it. It is locked then: by whoever handed it over. */
  #named(fd: number): JournalFile | undefined {
    const { sys, ledger, journalDir } = this.#sources;
    sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
    return JournalFile.adopt(sys, ledger, journalDir, fd);
  }

  /** The journal that came back from the store. */
  #stored(fd: number): OpenedJournal {
    const { sys, ledger } = this.#sources;
    const file = this.#named(fd);
    if (file === undefined) ledger.own(fd, "journal");
    const memory = new SharedMemory(sys, fd);
    const opened = this.#recovered(memory, file) ?? this.#fresh(fd, file);
    return file === undefined ? this.#withLeftFile(opened) : opened;
  }

  /**
   * The journal in the file: of a daemon without a store, or of one whose store has been emptied, or has lost
   * it.
   */
  #inFile(): OpenedJournal {
    const { sys, log, keeper } = this.#sources;
    const file = keeper ? this.#fileIfAny() : this.#file();
    if (file === undefined) return this.#fresh(this.#memfd(), undefined);
    const memory = new SharedMemory(sys, file.fd);
    if (memory.size === 0) return this.#fresh(file.fd, file);
    if (isOfAnotherBoot(readStamp(memory), stampOfNow(sys))) {
      log.info(`The journal ${file.path} is of an earlier boot of this host: it is void`);
      return this.#fresh(file.fd, file);
    }
    return this.#recovered(memory, file) ?? this.#fresh(file.fd, file);
  }

  /** An empty journal, in its file or, where there can be none, in memory that only a store would keep. */
  #freshAnywhere(): OpenedJournal {
    const file = this.#sources.keeper ? this.#fileIfAny() : this.#file();
    return file === undefined ? this.#fresh(this.#memfd(), undefined) : this.#fresh(file.fd, file);
  }

  /** @returns undefined when there is nothing that can be read */
  #recovered(memory: SharedMemory, file: JournalFile | undefined): OpenedJournal | undefined {
    if (memory.size === 0) return undefined;
    const read = readLog(memory);
    if (typeof read === "string") {
      this.#sources.log.error(`The journal that an earlier daemon has left cannot be read: ${read}`);
      return undefined;
    }
    const contents = this.#contents(memory, read);
    const { returned } = this.#sources;
    const { state, bytes, damage } = contents;
    const recovered = this.#recover(state, bytes, damage !== undefined, returned);
    const carried = readCarried(state.carried);
    return { ...GOING_ON, memory, log: read.log, file, recovered, carried, slots: recovered.slots };
  }

  #contents(memory: SharedMemory, read: Omit<FoundLog, "log">): Contents {
    if (read.damage !== undefined) this.#sources.log.error(`The journal is damaged: ${read.damage}`);
    const bytes = inFlight(read.state.bytes, readExchange(memory.bytes, EXCHANGE_OFFSET));
    return { state: read.state, damage: read.damage, bytes, stamp: readStamp(memory) };
  }

  /**
   * Adds what another daemon has left in the place of the file, if nothing newer is known: somebody may have
   * started one without a store while the service was down.
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
    const read = readLog(memory);
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
    // Of descriptors it knows nothing.
    const second = this.#recover(state, bytes, damage !== undefined, []);
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

  #file(): JournalFile {
    const { sys, ledger, journalDir } = this.#sources;
    const file = JournalFile.open(sys, ledger, journalDir, true);
    if (file === undefined) throw new Error("Open journal: it was to be made, and was not");
    return file;
  }

  /** The same, for who can do without: in memory alone the store keeps it. */
  #fileIfAny(): JournalFile | undefined {
    try {
      return this.#file();
    } catch (error) {
      if (!(error instanceof SystemError) || missesJournal(this.#sources, error)) throw error;
      this.#sources.log.warn(
        `The journal is in memory alone, and would be lost if systemd dropped its copy: ${error.message}`,
      );
      return undefined;
    }
  }

  #memfd(): number {
    const { sys, ledger } = this.#sources;
    return ledger.own(must(sys.memfd("virtlockd-journal"), "memfd_create", "journal"), "journal");
  }

  /** An empty journal. What the service manager has kept without one cannot be explained, and is kept on. */
  #fresh(fd: number, file: JournalFile | undefined): OpenedJournal {
    const { sys, returned, handed } = this.#sources;
    must(sys.ftruncate(fd, 0), "ftruncate", "journal");
    const memory = new SharedMemory(sys, fd);
    const log = createLog(memory);
    const unexplained = handed === undefined && returned.some(({ name }) => parseSlot(name) !== undefined);
    const state = new JournalState();
    const recovered = unexplained ? this.#recover(state, state.bytes, true, returned) : undefined;
    const slots = recovered?.slots ?? [];
    return { ...GOING_ON, memory, log, file, recovered, slots };
  }

  #recover(
    state: JournalState,
    bytes: InFlight,
    damaged: boolean,
    descriptors: readonly ReturnedDescriptor[],
  ): Recovered {
    const { sys } = this.#sources;
    return recover({
      sys,
      state,
      inFlight: bytes,
      descriptors,
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
    const state = readProcess(this.#sources.sys, hostPid);
    return typeof state === "number" ? state !== -ESRCH : state.startTime === start;
  }
}

/**
 * Whether the daemon must not go on without the journal that it could not open: it may say which guests run,
 * and nothing else does. Another daemon's, which that has locked, is none of its business.
 */
export function missesJournal(
  { sys, handed, returned, journalDir }: Pick<JournalSources, "sys" | "handed" | "returned" | "journalDir">,
  { errno }: SystemError,
): boolean {
  const stored = returned.some(({ name }) => name === JOURNAL_NAME || parseSlot(name) !== undefined);
  if (handed !== undefined || stored || errno === EAGAIN) return false;
  const status = emptyStatus();
  const looked = sys.lstat(journalPath(journalDir), status);
  if (looked < 0) return looked !== -ENOENT && looked !== -ENOTDIR;
  return (status.mode & S_IFMT) === S_IFREG && status.size > 0;
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
