import { journalPath } from "../../chassis/journal/layout.ts";
import { S_IFMT, S_IFREG } from "../../os/constants.ts";
import { EAGAIN, EEXIST, ENOENT, ENOTDIR } from "../../os/errno.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import type { SystemError } from "../../os/system_error.ts";
import { JOURNAL_NAME, parseSlot } from "../journal/descriptor_names.ts";
import type { JournalSources } from "./opened_journal.ts";

/** What tells whether a journal is missed. */
export interface MissedSources extends Pick<JournalSources, "handed" | "returned" | "journalDir"> {
  readonly sys: Pick<FileSys, "lstat">;
}

/**
 * Whether the daemon must not go on without the journal that it could not open: it may say which guests run,
 * and nothing else does. Another daemon's, which that has locked or just made, is none of its business.
 */
export function missesJournal(
  { sys, handed, returned, journalDir }: MissedSources,
  { errno }: SystemError,
): boolean {
  const stored = returned.some(({ name }) => name === JOURNAL_NAME || parseSlot(name) !== undefined);
  if (handed !== undefined || stored || errno === EAGAIN || errno === EEXIST) return false;
  const status = emptyStatus();
  const looked = sys.lstat(journalPath(journalDir), status);
  if (looked < 0) return looked !== -ENOENT && looked !== -ENOTDIR;
  return (status.mode & S_IFMT) === S_IFREG && status.size > 0;
}
