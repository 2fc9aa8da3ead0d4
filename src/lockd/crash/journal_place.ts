import { JournalFile } from "../../chassis/journal/journal_file.ts";
import { F_SETFD, FD_CLOEXEC } from "../../os/constants.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { missesJournal } from "./missed_journal.ts";
import type { JournalSources } from "./opened_journal.ts";

/** Where a journal is, empty or not. */
export interface Placed {
  /** Owned by the file, or else by the ledger. */
  readonly fd: number;
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
   * Its file, which is made if need be; memory where there can be none and the service manager keeps that.
   *
   * @throws SystemError when there is neither, or when nobody must serve without what is in the file
   */
  own(): Placed {
    const file = this.#sources.keeper ? this.#fileIfAny() : this.#file();
    return file === undefined ? { fd: this.#memory(), file } : { fd: file.fd, file };
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

  #memory(): number {
    const { sys, ledger } = this.#sources;
    return ledger.own(must(sys.memfd("virtlockd-journal"), "memfd_create", "journal"), "journal");
  }
}
