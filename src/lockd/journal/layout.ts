import { EXCHANGE_SIZE } from "../../chassis/rpc/counted_exchange.ts";

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
/** Offset of the layout's version. */
export const VERSION_OFFSET = 4;
/** Offset of the size of the exchange area, which decides where the log begins. */
export const EXCHANGE_SIZE_OFFSET = 8;
/** "vlkj" */
export const MAGIC = 0x6a6b6c76;
/** Changes when an older daemon could not read what a newer one writes. */
export const LAYOUT_VERSION = 2;

/** The journal's file where no service manager keeps it. */
export function journalPath(directory: string): string {
  return `${directory}/journal`;
}
