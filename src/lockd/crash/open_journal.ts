import type { JournalFile } from "../../chassis/journal/journal_file.ts";
import { SharedMemory } from "../../chassis/journal/journal_memory.ts";
import { isOfAnotherBoot, readStamp, stampOfNow } from "../../chassis/journal/journal_stamp.ts";
import { LogFile } from "../../chassis/journal/log_file.ts";
import { must } from "../../os/system_error.ts";
import { JOURNAL_NAME, parseSlot } from "../journal/descriptor_names.ts";
import { JournalState } from "../journal/journal_state.ts";
import { createLog, passOverLog, readLog } from "../journal/lock_format.ts";
import { recordedSlots } from "../journal/recorded_slots.ts";
import { keptDescriptor } from "../handover/kept_descriptors.ts";
import { readCarried } from "../restart/recovered_state.ts";
import type { RestartState } from "../restart/state.ts";
import { readHandover } from "./journal_handover.ts";
import { JournalPlace, type Placed } from "./journal_place.ts";
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
    if (kept !== undefined && file !== undefined) {
      const memory = new SharedMemory(sys, kept);
      // Only the slots of the store are nowhere but in the journal.
      const read = stored && keeper ? readLog(memory) : passOverLog(memory);
      if (typeof read === "string") return this.#fresh({ fd: kept, file });
      if (read instanceof LogFile) return { ...GOING_ON, memory, log: read, file, slots: [] };
      return { ...GOING_ON, memory, log: read.log, file, slots: recordedSlots(read.state) };
    }
    // What another daemon may have left in that place counts no more.
    const opened = this.#fresh(this.#place.own());
    if (kept === undefined) return opened;
    // An earlier version's, or its file was removed.
    const read = readLog(new SharedMemory(sys, ledger.own(kept, "journal")));
    ledger.close(kept);
    const slots = stored && keeper && typeof read !== "string" ? recordedSlots(read.state) : [];
    return { ...opened, slots, replaces: stored && keeper };
  }

  /** The journal that came back from the store. */
  #stored(fd: number): OpenedJournal {
    const { sys, ledger } = this.#sources;
    const file = this.#place.named(fd);
    if (file === undefined) ledger.own(fd, "journal");
    const memory = new SharedMemory(sys, fd);
    const opened = this.#recovered(memory, file) ?? this.#fresh({ fd, file });
    const left = file === undefined ? this.#place.left() : undefined;
    return left === undefined
      ? opened
      : withLeftJournal({ ...this.#sources, reader: this.#reader }, opened, left);
  }

  /**
   * The journal in the file: of a daemon without a store, or of one whose store has been emptied, or has lost
   * it.
   */
  #inFile(): OpenedJournal {
    const { sys, log } = this.#sources;
    const place = this.#place.own();
    const { fd, file } = place;
    if (file === undefined) return this.#fresh(place);
    const memory = new SharedMemory(sys, fd);
    if (memory.size === 0) return this.#fresh(place);
    if (isOfAnotherBoot(readStamp(memory), stampOfNow(sys))) {
      log.info(`The journal ${file.path} is of an earlier boot of this host: it is void`);
      return this.#fresh(place);
    }
    return this.#recovered(memory, file) ?? this.#fresh(place);
  }

  /** @returns undefined when there is nothing that can be read */
  #recovered(memory: SharedMemory, file: JournalFile | undefined): OpenedJournal | undefined {
    if (memory.size === 0) return undefined;
    const read = readLog(memory);
    if (typeof read === "string") {
      this.#sources.log.error(`The journal that an earlier daemon has left cannot be read: ${read}`);
      return undefined;
    }
    const contents = this.#reader.contents(memory, read);
    const recovered = this.#reader.recover(contents, this.#sources.returned);
    const carried = readCarried(contents.state.carried);
    return { ...GOING_ON, memory, log: read.log, file, recovered, carried, slots: recovered.slots };
  }

  /** An empty journal. What the service manager has kept without one cannot be explained, and is kept on. */
  #fresh({ fd, file }: Placed): OpenedJournal {
    const { sys, returned, handed } = this.#sources;
    must(sys.ftruncate(fd, 0), "ftruncate", "journal");
    const memory = new SharedMemory(sys, fd);
    const log = createLog(memory);
    const unexplained = handed === undefined && returned.some(({ name }) => parseSlot(name) !== undefined);
    const state = new JournalState();
    const lost = { state, bytes: state.bytes, damage: "there is none" };
    const recovered = unexplained ? this.#reader.recover(lost, returned) : undefined;
    const slots = recovered?.slots ?? [];
    return { ...GOING_ON, memory, log, file, recovered, slots };
  }
}
