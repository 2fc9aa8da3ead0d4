import { EXCHANGE_SIZE } from "../rpc/counted_exchange.ts";

// A journal: a header page, the exchange area, the log.

const PAGE = 4096;
/** Offset of the exchange area. */
export const EXCHANGE_OFFSET = PAGE;
/** Offset of the first byte that a log may use. */
export const LOG_START = PAGE + EXCHANGE_SIZE;
/** Offsets of the two root slots. */
export const ROOT_SLOTS = [512, 1024] as const;
/** Offset of the word that is written when the header is whole. */
export const MAGIC_OFFSET = 0;
/**
 * Offset of the number of the oldest layout whose readers understand what is in the journal. Layout 2 had its
 * own number here, and its readers insist on it.
 */
export const READER_OFFSET = 4;
/**
 * Offset of the size of the exchange area, which decides where the log begins. No layout has changed it yet.
 */
export const EXCHANGE_SIZE_OFFSET = 8;
/** Offset of the number of the layout that the last writer knew; layout 2 left 0 there. */
export const WRITER_OFFSET = 12;
/** Offset of the stamp (journal_stamp.ts): when it was taken into use, and in which life of the host. */
export const STAMP_OFFSET = 16;
/**
 * Offset of a word that is not 0 while the log lacks what could not be written. Earlier writers left 0 there.
 */
export const BEHIND_OFFSET = 48;
/** "vlkj" */
export const MAGIC = 0x6a6b6c76;
/** The newest layout that this program reads, and the one that it writes. */
export const LAYOUT_VERSION = 3;
/**
 * Readers of this layout and later ones understand all that this program writes: they ignore fields at the
 * end of an operation that they do not know, and skip operations that may be skipped; those of layout 2 took
 * such for damage. To be raised to LAYOUT_VERSION with the first operation that an older reader would have to
 * know and cannot (operation_codes.ts).
 */
export const OLDEST_READER = 3;

/** The journal's file. */
export function journalPath(directory: string): string {
  return `${directory}/journal`;
}

/** The same as long as it is being made. */
export function draftPath(directory: string): string {
  return `${directory}/journal.new`;
}
