import type { JournalMemory } from "./journal_memory.ts";
import { EXCHANGE_OFFSET, MAGIC_OFFSET } from "./layout.ts";

/**
 * Whether memory is a journal's beginning whose making was broken off, so that nothing can ever have been
 * recorded in it: the word that is written last is not there, and behind the header is neither a record, nor
 * a byte of a client. Earlier versions left such a file where there was no more room for it.
 */
export function isUnfinished({ bytes, size }: Pick<JournalMemory, "bytes" | "size">): boolean {
  const isZero = (from: number, to: number) =>
    bytes.subarray(from, Math.min(to, size)).every((byte) => byte === 0);
  return isZero(MAGIC_OFFSET, MAGIC_OFFSET + 4) && isZero(EXCHANGE_OFFSET, size);
}
