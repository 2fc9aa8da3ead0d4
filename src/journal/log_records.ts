import { crc32 } from "./crc32.ts";
import type { JournalMemory } from "./journal_memory.ts";

/** Length and checksum before the payload. */
const RECORD_HEADER = 8;
const ALIGNMENT = 8;

/** How the records of a log end. */
export type LogEnd =
  /** As they should. */
  | { kind: "clean" }
  /** With something that is no record: not finished, or damaged. */
  | { kind: "torn"; reason: string };

/** What was read from a log. */
export interface LogContents {
  /** Offset behind the last good record. */
  readonly end: number;
  readonly how: LogEnd;
}

/** Offset behind a record with so many payload bytes at `at`. */
function behind(at: number, length: number): number {
  return Math.ceil((at + RECORD_HEADER + length) / ALIGNMENT) * ALIGNMENT;
}

/**
 * Appends a record. It is valid from the last store on: the length is written behind everything else, and the length word behind
 * the record says that nothing follows.
 *
 * @param at offset, a multiple of 8
 * @param limit offset that must not be written to
 * @returns offset of the next record, or undefined when it does not fit below `limit`; then nothing valid was written
 * @throws SystemError when there is no memory
 */
export function appendRecord(
  memory: JournalMemory,
  at: number,
  generation: number,
  text: string,
  limit = Infinity,
): number | undefined {
  const most = behind(at, text.length * 3) + RECORD_HEADER;
  if (most > limit) return undefined;
  memory.reserve(most);
  // What lies here may be a record of an older log.
  memory.writeWord(at, 0);
  const length = memory.writeText(at + RECORD_HEADER, text);
  const next = behind(at, length);
  memory.writeWord(next, 0);
  memory.writeWord(at + 4, recordChecksum(memory.bytes, at, length, generation));
  memory.commitWord(at, length);
  return next;
}

/**
 * Reads records until the first that is none.
 *
 * @param size bytes that may be read
 * @param take gets each payload
 */
export function readRecords(
  bytes: Uint8Array,
  size: number,
  base: number,
  generation: number,
  take: (payload: string) => void,
): LogContents {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const torn = (end: number, reason: string): LogContents => ({ end, how: { kind: "torn", reason } });
  for (let at = base;;) {
    if (at + RECORD_HEADER > size) return { end: at, how: { kind: "clean" } };
    const length = view.getUint32(at, true);
    if (length === 0) return { end: at, how: { kind: "clean" } };
    if (length > size - at - RECORD_HEADER) {
      return torn(at, `a record at ${at} claims ${length} bytes, ${size - at - RECORD_HEADER} are there`);
    }
    if (view.getInt32(at + 4, true) !== recordChecksum(bytes, at, length, generation)) {
      return torn(at, `the checksum of the record at ${at} is wrong`);
    }
    try {
      take(decoder.decode(bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length)));
    } catch (error) {
      if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
      return torn(at, `the record at ${at} does not decode: ${error.message}`);
    }
    at = behind(at, length);
  }
}

function recordChecksum(bytes: Uint8Array, at: number, length: number, generation: number): number {
  return crc32(bytes, at + RECORD_HEADER, at + RECORD_HEADER + length, (generation ^ at ^ length) | 0);
}
