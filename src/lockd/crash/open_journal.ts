import type { JournalFile } from "../../chassis/journal/journal_file.ts";
import { SharedMemory } from "../../chassis/journal/journal_memory.ts";
import { isOfAnotherBoot, readStamp, stampOfNow } from "../../chassis/journal/journal_stamp.ts";
import { LogFile } from "../../chassis/journal/log_file.ts";
import { JOURNAL_NAME, parseSlot } from "../journal/descriptor_names.ts";
import { JournalState } from "../journal/journal_state.ts";
import { passOverLog, readLog } from "../journal/lock_format.ts";
import { recordedSlots } from "../journal/recorded_slots.ts";
import { keptDescriptor } from "../handover/kept_descriptors.ts";
import { readCarried, withoutLineage } from "../restart/recovered_state.ts";
import type { RestartState } from "../restart/state.ts";
import { readHandover } from "./journal_handover.ts";
import { JournalPlace, type MadeJournal } from "./journal_place.ts";
import { JournalReader } from "./journal_reader.ts";
import { withLeftJournal } from "./left_journal.ts";
import { GOING_ON, type JournalSources, type OpenedJournal } from "./opened_journal.ts";

/** Purpose under which the journal's descriptor is handed over at re-exec. */
export const JOURNAL_PURPOSE = "journal";

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
  readonly #place: JournalPlace;
  readonly #reader: JournalReader;

  constructor(sources: JournalSources) {
    this.#sources = sources;
    this.#place = new JournalPlace(sources);
    this.#reader = new JournalReader(sources);
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
    const kept = keptDescriptor(handed, JOURNAL_PURPOSE);
    const file = kept === undefined ? undefined : this.#place.named(kept);
    const replaces = stored && keeper;
    if (kept !== undefined && file !== undefined) {
      const memory = new SharedMemory(sys, kept);
      // Only the slots of the store are nowhere but in the journal.
      const read = replaces ? readLog(memory) : passOverLog(memory);
      if (typeof read === "string") return { ...this.#instead(file), replaces };
      if (read instanceof LogFile) return { ...GOING_ON, memory, log: read, file, slots: [] };
      return { ...GOING_ON, memory, log: read.log, file, slots: recordedSlots(read.state) };
    }
    // What another daemon may have left in that place counts no more.
    const found = this.#place.found();
    const opened = found === "barred" ? this.#fresh(this.#place.memory()) : this.#instead(found);
    if (kept === undefined) return opened;
    // An earlier version's, or its file was removed.
    const read = readLog(new SharedMemory(sys, ledger.own(kept, "journal")));
    ledger.close(kept);
    const slots = replaces && typeof read !== "string" ? recordedSlots(read.state) : [];
    return { ...opened, slots, replaces };
  }

  /** The journal that came back from the store. */
  #stored(fd: number): OpenedJournal {
    const { sys, ledger } = this.#sources;
    const file = this.#place.named(fd);
    if (file !== undefined) {
      return this.#recovered(new SharedMemory(sys, fd), file) ?? { ...this.#instead(file), replaces: true };
    }
    ledger.own(fd, "journal");
    let opened = this.#recovered(new SharedMemory(sys, fd), undefined);
    if (opened === undefined) {
      ledger.close(fd);
      // The place of the file may be taken by what another daemon has left.
      opened = { ...this.#fresh(this.#place.memory()), replaces: true };
    }
    const left = this.#place.left();
    return left === undefined
      ? opened
      : withLeftJournal({ ...this.#sources, reader: this.#reader }, opened, left);
  }

  /**
   * The journal in the file: of a daemon without a store, or of one whose store has been emptied, or has lost
   * it.
   */
  #inFile(): OpenedJournal {
    const found = this.#place.found();
    if (found === "barred") return this.#fresh(this.#place.memory());
    return (found === undefined ? undefined : this.#said(found)) ?? this.#instead(found);
  }

  /** @returns undefined when the file says nothing that counts */
  #said(file: JournalFile): OpenedJournal | undefined {
    const { sys, log } = this.#sources;
    const memory = new SharedMemory(sys, file.fd);
    if (memory.size === 0 || !isOfAnotherBoot(readStamp(memory), stampOfNow(sys))) {
      return this.#recovered(memory, file);
    }
    log.info(`The journal ${file.path} is of an earlier boot of this host: it is void`);
    return undefined;
  }

  /** @returns undefined when there is nothing that can be read */
  #recovered(memory: SharedMemory, file: JournalFile | undefined): OpenedJournal | undefined {
    const read = this.#reader.read(memory);
    if (read === undefined) return undefined;
    const contents = this.#reader.contents(memory, read);
    const recovered = this.#reader.recover(contents, this.#sources.returned);
    const said = readCarried(contents.state.carried);
    const carried = contents.damage === undefined ? said : withoutLineage(said);
    return { ...GOING_ON, memory, log: read.log, file, recovered, carried, slots: recovered.slots };
  }

  /**
   * A new journal in the place of a file that counts no more. That goes first: its room may be the last that
   * there is.
   */
  #instead(file: JournalFile | undefined): OpenedJournal {
    file?.discard();
    return this.#fresh(this.#place.make());
  }

  /** An empty journal. What the service manager has kept without one cannot be explained, and is kept on. */
  #fresh(made: MadeJournal): OpenedJournal {
    const { returned, handed } = this.#sources;
    const unexplained = handed === undefined && returned.some(({ name }) => parseSlot(name) !== undefined);
    const state = new JournalState();
    const lost = { state, bytes: state.bytes, damage: "there is none" };
    const recovered = unexplained ? this.#reader.recover(lost, returned) : undefined;
    const slots = recovered?.slots ?? [];
    return { ...GOING_ON, ...made, recovered, slots };
  }
}
