import { JournalFile } from "../../chassis/journal/journal_file.ts";
import { SharedMemory } from "../../chassis/journal/journal_memory.ts";
import type { LogFile } from "../../chassis/journal/log_file.ts";
import { F_SETFD, FD_CLOEXEC } from "../../os/constants.ts";
import type { Sys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { createLog } from "../journal/lock_format.ts";
import type { Operation } from "../journal/operations.ts";
import { missesJournal } from "./missed_journal.ts";
import type { JournalSources } from "./opened_journal.ts";

/** A new journal, with nothing in it. */
export interface MadeJournal {
  readonly memory: SharedMemory;
  readonly log: LogFile<Operation>;
  /** Undefined when it is memory without a name, which only the service manager keeps. */
  readonly file: JournalFile | undefined;
}

/** The places in which a journal may be: its file, and memory that only a store keeps. */
export class JournalPlace {
  readonly #sources: JournalSources;

  constructor(sources: JournalSources) {
    this.#sources = sources;
  }

  /**
   * Its file, if there is one; `barred` where it cannot be used, which is said, and the service manager keeps
   * memory instead.
   *
   * @throws SystemError where nothing would keep that, or when nobody must serve without what is in the file
   */
  found(): JournalFile | "barred" | undefined {
    const { sys, ledger, journalDir } = this.#sources;
    try {
      return JournalFile.open(sys, ledger, journalDir);
    } catch (error) {
      this.#doWithout(error);
      return "barred";
    }
  }

  /**
   * A new one: in its file, where there is none; in memory where there can be none, which is said, and the
   * service manager keeps that.
   *
   * @throws SystemError when there is neither
   */
  make(): MadeJournal {
    const { sys, ledger, journalDir } = this.#sources;
    try {
      const { file, filled } = JournalFile.make(sys, ledger, journalDir, (fd) => begun(sys, fd));
      return { ...filled, file };
    } catch (error) {
      this.#doWithout(error);
      return this.memory();
    }
  }

  /** A new one in memory alone. @throws SystemError when there is none */
  memory(): MadeJournal {
    const { sys, ledger } = this.#sources;
    const fd = ledger.own(must(sys.memfd("virtlockd-journal"), "memfd_create", "journal"), "journal");
    return { ...begun(sys, fd), file: undefined };
  }

  /**
   * That of a descriptor which somebody handed over, and which he has locked if it is a file.
   *
   * @param fd taken if it is the file; else it stays the caller's
   */
  named(fd: number): JournalFile | undefined {
    const { sys, ledger, journalDir } = this.#sources;
    sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
    return JournalFile.adopt(sys, ledger, journalDir, fd);
  }

  /**
   * A journal's file that is there beside the store; undefined also when it cannot be used, which is said.
   */
  left(): JournalFile | undefined {
    const { sys, ledger, journalDir, log } = this.#sources;
    try {
      return JournalFile.open(sys, ledger, journalDir);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.error(`A journal of an earlier daemon is left alone: ${error.message}`);
      return undefined;
    }
  }

  /** Says that there is no file, where the store keeps memory. @throws the error where there has to be one */
  #doWithout(error: unknown): void {
    const { keeper, log } = this.#sources;
    if (!(error instanceof SystemError) || !keeper || missesJournal(this.#sources, error)) throw error;
    log.warn(
      `The journal is in memory alone, and would be lost if systemd dropped its copy: ${error.message}`,
    );
  }
}

/** The beginning of a journal in an empty file. @throws SystemError when there is no room for it */
function begun(sys: Sys, fd: number): Omit<MadeJournal, "file"> {
  const memory = new SharedMemory(sys, fd);
  return { memory, log: createLog(memory) };
}
