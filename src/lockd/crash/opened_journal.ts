import type { JournalFile } from "../../chassis/journal/journal_file.ts";
import type { SharedMemory } from "../../chassis/journal/journal_memory.ts";
import type { LogFile } from "../../chassis/journal/log_file.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import type { Operation } from "../journal/operations.ts";
import type { Recovered, ReturnedDescriptor, StoredObject } from "../journal/recovered.ts";
import { type Carried, NOTHING_CARRIED } from "../restart/recovered_state.ts";
import type { RestartState } from "../restart/state.ts";

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
export const GOING_ON = {
  recovered: undefined,
  carried: NOTHING_CARRIED,
  left: undefined,
  replaces: false,
} as const satisfies Partial<OpenedJournal>;
