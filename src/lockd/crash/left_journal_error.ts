import type { SystemError } from "../../os/system_error.ts";

/** An earlier daemon has left a journal without which nobody must serve, and it cannot be read. */
export class LeftJournalError extends Error {
  override readonly name = "LeftJournalError";

  /** @param path of the journal's file */
  constructor(path: string, cause: SystemError) {
    super(
      `An earlier daemon has left a journal of its locks in ${path}, which cannot be read: ${cause.message}. Without it ` +
        "the disks of running guests would be given to others; remove it if no guest runs",
      { cause },
    );
  }
}
